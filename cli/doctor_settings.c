/* The sysctls that croft doctor looks at, one row each; see doctor.h. Never writes one. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/doctor.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/* What a host has to have more than, or at most, for a setting to be right. */
static const struct setting {
	const char *name;
	const char *path; /* below / */
	uint64_t min;
	uint64_t max;
	uint64_t wanted; /* what the advice says */
	bool may_lack;	 /* a kernel without it has nothing to guard */
	const char *why;
} settings[] = {
	{"dev.tty.legacy_tiocsti", "proc/sys/dev/tty/legacy_tiocsti", 0, 0, 0, true,
		"else a process can type into its caller's terminal"},
	{"kernel.dmesg_restrict", "proc/sys/kernel/dmesg_restrict", 1, UINT64_MAX, 1, false,
		"the kernel's log tells of other tenants"},
	{"kernel.kptr_restrict", "proc/sys/kernel/kptr_restrict", 1, UINT64_MAX, 1, false,
		"addresses of the kernel help an attack on it"},
	{"kernel.io_uring_disabled", "proc/sys/kernel/io_uring_disabled", 1, UINT64_MAX, 2, true,
		"a second lock on a door that the policy shuts"},
	{"kernel.unprivileged_bpf_disabled", "proc/sys/kernel/unprivileged_bpf_disabled", 1,
		UINT64_MAX, 1, true, "a second lock on a door that the policy shuts"},
	/* Density, after LXD's server settings; the kernel's defaults do for some ten containers.
	 */
	{"kernel.pid_max", "proc/sys/kernel/pid_max", 131072, UINT64_MAX, 4194304, false,
		"all tenants' processes share it"},
	{"kernel.pty.max", "proc/sys/kernel/pty/max", 4096, UINT64_MAX, 16384, false,
		"each container and each shell takes terminals"},
	{"kernel.keys.maxkeys", "proc/sys/kernel/keys/maxkeys", 200, UINT64_MAX, 2000, true,
		"each container has a keyring"},
	{"fs.inotify.max_user_instances", "proc/sys/fs/inotify/max_user_instances", 1024,
		UINT64_MAX, 1048576, false, "each container's init takes some"},
	{"fs.inotify.max_user_watches", "proc/sys/fs/inotify/max_user_watches", 65536, UINT64_MAX,
		1048576, false, "each container's init takes some"},
	{"net.ipv4.neigh.default.gc_thresh3", "proc/sys/net/ipv4/neigh/default/gc_thresh3", 1024,
		UINT64_MAX, 8192, false, "each container with a network is a neighbour"},
};

static void check_setting(const struct doctor *d, const struct setting *s)
{
	char advice[DOCTOR_TEXT_MAX];
	uint64_t value;

	if (fd_read_u64_at(d->root_fd, s->path, &value) < 0) {
		doctor_report(d, s->may_lack ? DOCTOR_OK : DOCTOR_WARN, s->name,
			"look whether this kernel has it, and whether /proc is mounted",
			"not there");
		return;
	}
	snprintf(
		advice, sizeof(advice), "sysctl -w %s=%" PRIu64 ": %s", s->name, s->wanted, s->why);
	doctor_report(d, value < s->min || value > s->max ? DOCTOR_WARN : DOCTOR_OK, s->name,
		advice, "%" PRIu64, value);
}

/* Not there is best: then bridged packets meet Croft's own rules alone. */
static void check_bridge_filter(const struct doctor *d)
{
	uint64_t value;

	if (fd_read_u64_at(d->root_fd, "proc/sys/net/bridge/bridge-nf-call-iptables", &value) < 0)
		doctor_report(d, DOCTOR_OK, "br_netfilter", NULL, "not loaded");
	else if (!value)
		doctor_report(d, DOCTOR_OK, "br_netfilter", NULL, "loaded, and does nothing");
	else
		doctor_report(d, DOCTOR_WARN, "br_netfilter",
			"sysctl -w net.bridge.bridge-nf-call-iptables=0, and ip6tables: it slows "
			"tenants' bridges, and their rate limits do not hold with it",
			"passes bridged packets through the host's rules");
}

void doctor_settings(const struct doctor *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		check_setting(d, &settings[i]);
	check_bridge_filter(d);
}
