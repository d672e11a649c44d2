/* Raw system calls; see syscalls.h. Each returns -errno, none allocates. */
#include "sandbox/syscalls.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t sys_clone3(const struct clone_args *args)
{
	long pid = syscall(SYS_clone3, args, sizeof(*args));

	return pid < 0 ? -errno : (pid_t)pid;
}

int sys_openat2(int dirfd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)flags, .resolve = resolve};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return syscall(SYS_pivot_root, new_root, put_old) < 0 ? -errno : 0;
}

int sys_join_session_keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 ? -errno : 0;
}

/* include/uapi/linux/pidfd.h of Linux 6.15: the first published size of the struct. */
struct pidfd_info_v0 {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid;
	uint32_t tgid;
	uint32_t ppid;
	uint32_t ids[8];
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "PIDFD_INFO_SIZE_VER0");

#define PIDFD_INFO_EXIT_FLAG (1ull << 3)
#define PIDFD_GET_INFO_V0    _IOWR(0xff, 11, struct pidfd_info_v0)

int sys_pidfd_exit(int pidfd, struct pidfd_exit *ret)
{
	struct pidfd_info_v0 info = {.mask = PIDFD_INFO_EXIT_FLAG};

	ret->known = 0;
	if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0)
		return -errno;
	if (info.mask & PIDFD_INFO_EXIT_FLAG) {
		ret->known = 1;
		ret->wait_status = info.exit_code;
	}
	return 0;
}
