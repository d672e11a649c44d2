/*
 * What a tenant's process may be; see confine.h. Runs in a cloned child, inside the inner user
 * namespace: never allocates, never opens a file.
 */
#include "sandbox/confine.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/inherited.h"
#include "sandbox/ioctl_guard.h"
#include "sandbox/syscalls.h"

#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/*
 * What a distribution's init needs, and what only reaches its own namespaces. Left out: RAWIO,
 * MODULE, TIME, PACCT, SYSLOG, WAKE_ALARM, BLOCK_SUSPEND, LINUX_IMMUTABLE, the MAC_ and AUDIT_
 * pairs, PERFMON, BPF, CHECKPOINT_RESTORE. (With SYS_RAWIO systemd mounts debugfs, and fails.)
 */
static const int kept_capabilities[] = {
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_DAC_READ_SEARCH,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_KILL,
	CAP_SETGID,
	CAP_SETUID,
	CAP_SETPCAP,
	CAP_NET_BIND_SERVICE,
	CAP_NET_BROADCAST,
	CAP_NET_ADMIN,
	CAP_NET_RAW,
	CAP_IPC_LOCK,
	CAP_IPC_OWNER,
	CAP_SYS_CHROOT,
	CAP_SYS_PTRACE,
	CAP_SYS_ADMIN,
	CAP_SYS_BOOT,
	CAP_SYS_NICE,
	CAP_SYS_RESOURCE,
	CAP_SYS_TTY_CONFIG,
	CAP_MKNOD,
	CAP_LEASE,
	CAP_SETFCAP,
};

#define MIB (1024ul * 1024)

/* Per real user id of the range, so these bound one tenant's kernel memory, not the host's. */
static const struct {
	__rlimit_resource_t resource;
	struct rlimit limit;
} rlimits[] = {
	{RLIMIT_CORE, {0, RLIM_INFINITY}},
	{RLIMIT_NOFILE, {1024, 524288}},
	{RLIMIT_MEMLOCK, {8 * MIB, 64 * MIB}},
	{RLIMIT_SIGPENDING, {16384, 16384}},
	{RLIMIT_MSGQUEUE, {819200, 819200}},
	{RLIMIT_NPROC, {RLIM_INFINITY, RLIM_INFINITY}}, /* the pids limit holds */
	{RLIMIT_NICE, {0, 0}},
	{RLIMIT_RTPRIO, {0, 0}},
	{RLIMIT_STACK, {8 * MIB, RLIM_INFINITY}},
	/* Nothing of what the supervisor was started with. */
	{RLIMIT_CPU, {RLIM_INFINITY, RLIM_INFINITY}},
	{RLIMIT_FSIZE, {RLIM_INFINITY, RLIM_INFINITY}},
	{RLIMIT_DATA, {RLIM_INFINITY, RLIM_INFINITY}},
	{RLIMIT_RSS, {RLIM_INFINITY, RLIM_INFINITY}},
	{RLIMIT_AS, {RLIM_INFINITY, RLIM_INFINITY}},
	{RLIMIT_LOCKS, {RLIM_INFINITY, RLIM_INFINITY}},
	{RLIMIT_RTTIME, {RLIM_INFINITY, RLIM_INFINITY}},
};

/* What Podman and Docker ask for by themselves; a hard limit below it is one they fail at. */
#define NESTING_NOFILE 1048576

static int set_rlimits(bool nesting, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rlimits); i++) {
		struct rlimit limit = rlimits[i].limit;
		struct rlimit now;

		if (nesting && rlimits[i].resource == RLIMIT_NOFILE)
			limit.rlim_max = NESTING_NOFILE;
		/* Raising needs the host's CAP_SYS_RESOURCE, which is not had in here. */
		if (getrlimit(rlimits[i].resource, &now) < 0)
			return err_sys(err, errno, "read a resource limit");
		if (limit.rlim_max > now.rlim_max)
			limit.rlim_max = now.rlim_max;
		if (limit.rlim_cur > limit.rlim_max)
			limit.rlim_cur = limit.rlim_max;
		if (setrlimit(rlimits[i].resource, &limit) < 0)
			return err_sys(err, errno, "set a resource limit");
	}
	return 0;
}

static bool is_kept(int capability)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept_capabilities); i++)
		if (kept_capabilities[i] == capability)
			return true;
	return false;
}

/* Permitted and effective follow from the bounding set at exec; inheritable must be empty now. */
static int clear_inheritable(struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return err_sys(err, errno, "read capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		data[i].inheritable = 0;
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(err, errno, "set capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(err, errno, "clear ambient capabilities");
	return 0;
}

static int cut_bounding_set(struct err *err)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
		if (is_kept(capability))
			continue;
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return err_sys(err, errno, "drop capability %d", capability);
	}
	return 0;
}

int confine_prepare(bool nesting, struct err *err)
{
	int r = sys_join_session_keyring();

	/* What those who built it ignore would survive execve(2). */
	inherited_reset_signals();
	/* A kernel without keyrings has none to leak. */
	if (r < 0 && r != -ENOSYS)
		return err_sys(err, r, "take a session keyring");
	r = set_rlimits(nesting, err);
	if (r == 0)
		r = clear_inheritable(err);
	if (r == 0)
		r = cut_bounding_set(err);
	return r;
}

int confine_close(int keep, int keep_too, int keep_three, struct err *err)
{
	struct fd_list kept = {0};
	int r;

	fd_list_add(&kept, keep);
	fd_list_add(&kept, keep_too);
	fd_list_add(&kept, keep_three);
	r = fd_close_all_but(&kept);
	if (r == 0 && syscall(SYS_close_range, STDERR_FILENO + 1, INT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "close descriptors") : 0;
}

static int load_plain(const struct confinement *c, struct err *err)
{
	struct sock_fprog program = {
		.len = c->n_filter,
		.filter = (struct sock_filter *)c->filter,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, c->flags, &program) < 0)
		return err_sys(err, errno, "load the policy");
	return 0;
}

/*
 * The policy holds when the listener is sent: that is why only one that lets sendmsg(2) through
 * tells. Should the socket not take it all the same, the plain policy is put on top, whose refusals
 * come before any listener; and where that is not possible either, the calls answer ENOSYS. A
 * kernel that has no room for a listener loads the plain one.
 */
static int load_telling(const struct confinement *c, int tell_fd, struct err *err)
{
	struct sock_fprog program = {
		.len = c->n_telling,
		.filter = (struct sock_filter *)c->telling,
	};
	int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		c->flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);

	if (fd < 0)
		return load_plain(c, err);
	if (fd_send(tell_fd, "", 1, &fd, 1) < 0)
		load_plain(c, NULL);
	close(fd);
	return 0;
}

int confine_seal(const struct confinement *c, int keep, int keep_too, int tell_fd, struct err *err)
{
	int r = confine_close(keep, keep_too, tell_fd, err);

	if (r == 0)
		r = ioctl_guard_load(err);
	if (r < 0)
		return r;
	return tell_fd >= 0 && c->telling ? load_telling(c, tell_fd, err) : load_plain(c, err);
}
