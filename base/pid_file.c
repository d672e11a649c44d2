/*
 * Pid files; see pid_file.h. Must never stay locked by what a dead daemon left behind.
 */
#include "base/pid_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * A record lock, since those are not inherited: one of flock(2) would outlive the daemon in
 * whatever a child of its has not closed yet, or hangs before it does.
 */
static int take_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_SETLK, &lock) < 0 ? -errno : 0;
}

int pid_file_take(int dir_fd, const char *name, const char *who, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = openat(
		dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "open %s in the run directory", name);
	r = take_lock(fd);
	if (r == -EAGAIN || r == -EACCES)
		return err_set(err, ERR_FAILED_PRECONDITION, "ALREADY_RUNNING",
			"%s runs for this run directory already", who);
	if (r < 0)
		return err_sys(err, r, "lock %s", name);
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return err_sys(err, errno, "write %s", name);
	*ret_fd = take_fd(&fd);
	return 0;
}
