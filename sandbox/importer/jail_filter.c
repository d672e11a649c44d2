/*
 * The system call filters of importer and packer: what their work uses, and nothing else. Anything
 * else answers ENOSYS, another ABI ends the process. Written as plain BPF, without libseccomp.
 * Must never allow a call that starts a program, opens a socket, or controls a device.
 */
#include "sandbox/importer/jail.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

/* The ones made for each block of data come first. */
static const int allowed_importer[] = {
	SYS_read,
	SYS_pread64,
	SYS_pwrite64,
	SYS_openat,
	SYS_openat2,
	SYS_close,
	SYS_fchown,
	SYS_fchmod,
	SYS_utimensat,
	SYS_ftruncate,
	SYS_fsetxattr,
	SYS_fchownat,
	SYS_fchmodat,
	SYS_mkdirat,
	SYS_symlinkat,
	SYS_linkat,
	SYS_unlinkat,
	SYS_renameat2,
	SYS_getdents64,
	SYS_newfstatat,
	SYS_fstat,
	SYS_statx,
	SYS_lseek,
	SYS_sendmsg,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_clock_gettime,
	SYS_getrandom,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill,
	SYS_exit,
	SYS_exit_group,
};

static const int allowed_packer[] = {
	SYS_read,
	SYS_pread64,
	SYS_write,
	SYS_openat,
	SYS_close,
	SYS_newfstatat,
	SYS_fstat,
	SYS_lseek,
	SYS_flistxattr,
	SYS_fgetxattr,
	SYS_readlinkat,
	SYS_getdents64,
	SYS_sendmsg,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_clock_gettime,
	SYS_getrandom,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill,
	SYS_exit,
	SYS_exit_group,
};

static const struct {
	const int *allowed;
	size_t n;
} kinds[] = {
	[JAIL_IMPORTER] = {allowed_importer, ARRAY_SIZE(allowed_importer)},
	[JAIL_PACKER] = {allowed_packer, ARRAY_SIZE(allowed_packer)},
};

/* Allowed when (low 32 bits of the argument & mask) == value. */
static const struct {
	int number;
	unsigned argument;
	uint32_t mask;
	uint32_t value;
} conditional[] = {
	{SYS_mmap, 2, PROT_EXEC, 0}, {SYS_mprotect, 2, PROT_EXEC, 0},
	{SYS_mknodat, 2, S_IFMT, S_IFIFO},
	{SYS_fcntl, 1, ~1u, F_SETFD}, /* and F_GETFL: of fdopendir(3) */
};

#define INSTRUCTIONS_MAX (8 + 2 * ARRAY_SIZE(allowed_importer) + 6 * ARRAY_SIZE(conditional))

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

static void build(struct program *p, enum jail_kind kind)
{
	p->n = 0;
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	emit_load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < kinds[kind].n; i++) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)kinds[kind].allowed[i], 0, 1);
		emit_return(p, SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < ARRAY_SIZE(conditional); i++) {
		/* Who only reads makes no file of any kind. */
		if (kind == JAIL_PACKER && conditional[i].number == SYS_mknodat)
			continue;
		size_t argument = offsetof(struct seccomp_data, args) +
				  conditional[i].argument * sizeof(uint64_t) + LOW_WORD;

		emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)conditional[i].number, 0, 5);
		emit_load(p, argument);
		emit(p, BPF_ALU | BPF_AND | BPF_K, conditional[i].mask, 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, conditional[i].value, 0, 1);
		emit_return(p, SECCOMP_RET_ALLOW);
		emit_return(p, SECCOMP_RET_ERRNO | EPERM);
	}
	emit_return(p, SECCOMP_RET_ERRNO | ENOSYS);
}

int jail_filter_load(enum jail_kind kind, struct err *err)
{
	struct program program;
	struct sock_fprog fprog = {.filter = program.code};

	build(&program, kind);
	fprog.len = program.n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) < 0)
		return err_sys(err, errno, "load the importer's system call filter");
	return 0;
}
