/* The supervisor's own capabilities; see privileges.h. Never raises one. */
#include "sandbox/privileges.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>

static const struct {
	cap_value_t value;
	const char *why;
} kept[] = {
	{CAP_SYS_ADMIN, "mounts, namespaces, loop devices, quotas"},
	{CAP_SYS_PTRACE, "the namespaces and maps of a container's processes"},
	{CAP_SYS_RESOURCE, "resource limits above our own"},
	{CAP_SETUID, "id maps, ids of the range"},
	{CAP_SETGID, "the same for groups"},
	{CAP_SETFCAP, "id maps that contain a root"},
	{CAP_SETPCAP, "cutting bounding sets"},
	{CAP_CHOWN, "cgroup directories and outputs for a container's root"},
	{CAP_DAC_OVERRIDE, "directories of the pool"},
	{CAP_DAC_READ_SEARCH, "the same"},
	{CAP_FOWNER, "the same"},
	{CAP_FSETID, "the same"},
	{CAP_KILL, "signals to other users' processes"},
	{CAP_NET_ADMIN, "interfaces, addresses, rules; attaching the device program"},
	{CAP_SYS_CHROOT, "entering a container's mounts"},
	{CAP_BPF, "loading the programs of devices and of rate limits"},
	{CAP_SYS_NICE, "cpu sets"},
	{CAP_MKNOD, "loop devices"},
};

static bool is_kept(cap_value_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (kept[i].value == value)
			return true;
	return false;
}

static int cut_process(struct err *err)
{
	cap_t caps = cap_init();
	int r = 0;

	if (!caps)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(kept) && r == 0; i++) {
		/* Not more than we were given: under systemd it may be less. */
		if (cap_get_bound(kept[i].value) != 1)
			continue;
		if (cap_set_flag(caps, CAP_PERMITTED, 1, &kept[i].value, CAP_SET) < 0 ||
			cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept[i].value, CAP_SET) < 0)
			r = err_sys(err, errno, "choose capabilities");
	}
	if (r == 0 && cap_set_proc(caps) < 0)
		r = err_sys(err, errno, "drop capabilities");
	cap_free(caps);
	return r;
}

int privileges_cut(struct err *err)
{
	for (cap_value_t value = 0; cap_get_bound(value) >= 0; value++)
		if (!is_kept(value) && cap_drop_bound(value) < 0)
			return err_sys(err, errno, "drop capability %d", value);
	return cut_process(err);
}
