/*
 * croft-net fences itself in, so that a fault in it or its libraries gains no more than the right
 * to change the host's packet filter and interfaces. A step that fails is an error.
 */
#include "sandbox/net/lockdown.h"

#include "base/cleanup.h"
#include "base/sanitizer.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NOBODY		65534u
#define CPU_SECONDS_MAX 60u
#define MEMORY_MAX	((rlim_t)2048 << 20) /* of 65,536 rows nft makes about a gigabyte */
#define FILES_MAX	16

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#error "name this machine's AUDIT_ARCH_ here"
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_WORD 0
#else
#define LOW_WORD 4
#endif

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

/* Allowed when (low 32 bits of the argument & mask) == value. */
static const struct {
	int number;
	unsigned argument;
	uint32_t mask;
	uint32_t value;
} conditional[] = {
	{SYS_socket, 0, ~0u, AF_NETLINK},
	{SYS_mmap, 2, PROT_EXEC, 0},
	{SYS_mprotect, 2, PROT_EXEC, 0},
};

#define INSTRUCTIONS_MAX (8 + 2 * ARRAY_SIZE(allowed) + 6 * ARRAY_SIZE(conditional))

struct program {
	struct sock_filter code[INSTRUCTIONS_MAX];
	unsigned short n;
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	p->code[p->n++] = (struct sock_filter){code, jt, jf, k};
}

static void emit_load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

static void build(struct program *p)
{
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	emit_load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], 0, 1);
		emit_return(p, SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < ARRAY_SIZE(conditional); i++) {
		size_t argument = offsetof(struct seccomp_data, args) +
				  conditional[i].argument * sizeof(uint64_t) + LOW_WORD;

		emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)conditional[i].number, 0, 5);
		emit_load(p, argument);
		emit(p, BPF_ALU | BPF_AND | BPF_K, conditional[i].mask, 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, conditional[i].value, 0, 1);
		emit_return(p, SECCOMP_RET_ALLOW);
		emit_return(p, SECCOMP_RET_ERRNO | EPERM);
	}
	/* libnftables looks for files of names that it can do without. */
	emit_return(p, SECCOMP_RET_ERRNO | ENOENT);
}

int lockdown_syscalls(struct err *err)
{
	struct program program = {.n = 0};
	struct sock_fprog fprog = {.filter = program.code};

	if (SANITIZED)
		return 0;
	build(&program);
	fprog.len = program.n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) < 0)
		return err_sys(err, errno, "load croft-net's system call filter");
	return 0;
}
