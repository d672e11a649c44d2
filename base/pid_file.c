/*
 * Pid files; see pid_file.h. Must never stay locked by what a dead daemon left behind.
 */
#include "base/pid_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
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

/* Whether the name is still that of the file: whoever held the lock before may have removed it. */
static bool is_named(int dir_fd, const char *name, int fd)
{
	struct stat named;
	struct stat held;

	return fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &held) == 0 &&
	       named.st_ino == held.st_ino && named.st_dev == held.st_dev;
}

int pid_file_take(int dir_fd, const char *name, const char *who, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	do {
		close_fd(&fd);
		fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_sys(err, errno, "open %s in the run directory", name);
		r = take_lock(fd);
		if (r == -EAGAIN || r == -EACCES)
			return err_set(err, ERR_FAILED_PRECONDITION, "ALREADY_RUNNING",
				"%s runs for this run directory already", who);
		if (r < 0)
			return err_sys(err, r, "lock %s", name);
	} while (!is_named(dir_fd, name, fd));
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return err_sys(err, errno, "write %s", name);
	*ret_fd = take_fd(&fd);
	return 0;
}

void pid_file_remove(int dir_fd, const char *name, int *fd)
{
	if (*fd < 0)
		return;
	unlinkat(dir_fd, name, 0);
	close_fd(fd);
}
