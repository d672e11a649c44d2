/*
 * The system call filters of importer and packer: what their work uses, and nothing else. Anything
 * else answers ENOSYS, another ABI ends the process.
 * Must never allow a call that starts a program, opens a socket, or controls a device.
 */
#include "sandbox/importer/jail.h"

#include "base/cleanup.h"
#include "base/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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
	SYS_recvmsg,
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
	SYS_recvmsg,
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

static const struct syscall_rule rules_importer[] = {
	{SYS_mmap, 2, PROT_EXEC, 0},
	{SYS_mprotect, 2, PROT_EXEC, 0},
	{SYS_fcntl, 1, ~1u, F_SETFD}, /* and F_GETFL: of fdopendir(3) */
	{SYS_mknodat, 2, S_IFMT, S_IFIFO},
};

/* Who only reads makes no file of any kind. */
static const struct syscall_rule rules_packer[] = {
	{SYS_mmap, 2, PROT_EXEC, 0},
	{SYS_mprotect, 2, PROT_EXEC, 0},
	{SYS_fcntl, 1, ~1u, F_SETFD},
};

static const struct syscall_filter filters[] = {
	[JAIL_IMPORTER] = {allowed_importer, ARRAY_SIZE(allowed_importer), rules_importer,
		ARRAY_SIZE(rules_importer), ENOSYS},
	[JAIL_PACKER] = {allowed_packer, ARRAY_SIZE(allowed_packer), rules_packer,
		ARRAY_SIZE(rules_packer), ENOSYS},
};

int jail_filter_load(enum jail_kind kind, struct err *err)
{
	return syscall_filter_load(&filters[kind], err);
}
