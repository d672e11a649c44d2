/*
 * croft-net fences itself in, so that a fault in it or its libraries gains no more than the right
 * to change the host's packet filter and interfaces. A step that fails is an error.
 */
#include "sandbox/net/lockdown.h"

#include "base/cleanup.h"
#include "base/sanitizer.h"
#include "base/syscall_filter.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NOBODY		65534u
#define CPU_SECONDS_MAX 60u
#define MEMORY_MAX	((rlim_t)2048 << 20) /* of 65,536 rows nft makes about a gigabyte */
#define FILES_MAX	16

static int limit_resources(struct err *err)
{
	const struct {
		__rlimit_resource_t resource;
		rlim_t value;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_CPU, CPU_SECONDS_MAX},
		{RLIMIT_NOFILE, FILES_MAX},
		{RLIMIT_AS, SANITIZED ? RLIM_INFINITY : MEMORY_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct rlimit limit = {limits[i].value, limits[i].value};

		if (setrlimit(limits[i].resource, &limit) < 0)
			return err_sys(err, errno, "set a resource limit");
	}
	return 0;
}

static int keep_net_admin(struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective = CAP_TO_MASK(CAP_NET_ADMIN);
	data[CAP_TO_INDEX(CAP_NET_ADMIN)].permitted = CAP_TO_MASK(CAP_NET_ADMIN);
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return err_sys(err, errno, "drop a capability for good");
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setgroups(0, NULL) < 0 ||
		setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return err_sys(err, errno, "give up root");
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(err, errno, "drop capabilities");
	return 0;
}

int lockdown_privileges(struct err *err)
{
	int r;

	if (close_range(3, ~0u, 0) < 0)
		return err_sys(err, errno, "close_range");
	r = limit_resources(err);
	if (r == 0)
		r = keep_net_admin(err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "give up new privileges");
	return 0;
}

static const int allowed[] = {
	SYS_sendmsg,
	SYS_sendto,
	SYS_recvmsg,
	SYS_recvfrom,
	SYS_bind,
	SYS_getsockname,
	SYS_setsockopt,
	SYS_getsockopt,
	SYS_read,
	SYS_write,
	SYS_close,
	SYS_fcntl,
	SYS_ppoll,
	SYS_pselect6,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_clock_gettime,
	SYS_getrandom,
	SYS_getpid,
	SYS_getuid,
	SYS_geteuid,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_poll
	SYS_poll,
	SYS_select,
#endif
};

static const struct syscall_rule rules[] = {
	{SYS_socket, 0, ~0u, AF_NETLINK},
	{SYS_mmap, 2, PROT_EXEC, 0},
	{SYS_mprotect, 2, PROT_EXEC, 0},
};

int lockdown_syscalls(struct err *err)
{
	static const struct syscall_filter filter = {
		.calls = allowed,
		.n_calls = ARRAY_SIZE(allowed),
		.rules = rules,
		.n_rules = ARRAY_SIZE(rules),
		.error = ENOENT, /* libnftables looks for files of names that it can do without */
	};

	return SANITIZED ? 0 : syscall_filter_load(&filter, err);
}
