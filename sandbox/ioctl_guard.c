/*
 * The guard against btrfs' ioctls; see ioctl_guard.h. A fixed program of a page, loaded before the
 * policy: the kernel takes the strictest answer of all filters.
 */
#include "sandbox/ioctl_guard.h"

#include "base/cleanup.h"
#include "sandbox/syscalls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY)
/* Jumps are counted from the next instruction. */
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define NR_X32 (0x40000000u | 514u) /* arch/x86/entry/syscalls/syscall_64.tbl */
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define NR_X32 ((uint32_t)SYS_ioctl)
#else
#error "say which calls ioctl(2) has here"
#endif
#define NR_32BIT 54u /* of i386 and of 32-bit ARM */

/* The kernel reads 32 bits of the request: the lower half of the argument comes first. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the request is the first half");

static const struct sock_filter program[] = {
	/* 0 */ LOAD(arch),
	/* 1 */ IF_EQUAL(NATIVE, 0, 4),
	/* 2 */ LOAD(nr),
	/* 3 */ IF_EQUAL(SYS_ioctl, 5, 0),
	/* 4 */ IF_EQUAL(NR_X32, 4, 0),
	/* 5 */ ALLOW,
	/* 6: a 32-bit call */ LOAD(nr),
	/* 7 */ IF_EQUAL(NR_32BIT, 1, 0),
	/* 8 */ ALLOW,
	/* 9: ioctl */ LOAD(args[1]),
	/* 10 */ IF_EQUAL(FICLONE, 6, 0),
	/* 11 */ IF_EQUAL(FICLONERANGE, 5, 0),
	/* 12 */ IF_EQUAL(FIDEDUPERANGE, 4, 0),
	/* 13 */ IF_EQUAL(FS_IOC_GETFSLABEL, 3, 0),
	/* 14: the request's type */
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, _IOC_TYPEMASK << _IOC_TYPESHIFT),
	/* 15 */ IF_EQUAL(BTRFS_IOCTL_MAGIC << _IOC_TYPESHIFT, 0, 1),
	/* 16 */ REFUSE,
	/* 17 */ ALLOW,
};

const struct sock_filter *ioctl_guard_program(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(program);
	return program;
}

int ioctl_guard_load(struct err *err)
{
	const struct sock_fprog filter = {
		.len = ARRAY_SIZE(program),
		.filter = (struct sock_filter *)program,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
		return err_sys(err, errno, "load the guard of the file systems");
	return 0;
}
