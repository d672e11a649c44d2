/* The standard output of a container; see spawn_internal.h. Follows no link. */
#include "sandbox/spawn_internal.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

void spawn_fifo_name(
	const char *tenant, const char *container, char ret_name[static SPAWN_FIFO_NAME_MAX])
{
	snprintf(ret_name, SPAWN_FIFO_NAME_MAX, "%s.%s", tenant, container);
}

/* Opened through a mount of its own, so that /proc/PID/fd names no directory of the host. */
static int open_nameless(int fifo_fd)
{
	_cleanup_close_ int mount_fd = open_tree(
		fifo_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	char path[32];
	int fd;

	if (mount_fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mount_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * The FIFO is opened for reading and writing, so that the container never gets EPIPE while nobody
 * reads. It belongs to the container's root, who may reopen /dev/stdout.
 */
static int open_ends(
	int dir_fd, const char *name, uid_t owner, int *ret_read_fd, int *ret_fd, struct err *err)
{
	_cleanup_close_ int read_fd = openat(
		dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = -1;

	if (read_fd < 0)
		return err_sys(err, errno, "open the standard output");
	fd = open_nameless(read_fd);
	if (fd < 0)
		return err_sys(err, fd, "open the standard output");
	if (fchown(fd, owner, owner) < 0)
		return err_sys(err, errno, "own the standard output");
	*ret_read_fd = take_fd(&read_fd);
	*ret_fd = take_fd(&fd);
	return 0;
}

int spawn_fifo_make(int dir_fd, const char *tenant, const char *container, uid_t owner,
	int *ret_read_fd, int *ret_fd, struct err *err)
{
	char name[SPAWN_FIFO_NAME_MAX];
	mode_t old = umask(0);
	int r = 0;

	spawn_fifo_name(tenant, container, name);
	unlinkat(dir_fd, name, 0);
	if (mkfifoat(dir_fd, name, 0622) < 0)
		r = err_sys(err, errno, "make the standard output");
	umask(old);
	if (r < 0)
		return r;
	r = open_ends(dir_fd, name, owner, ret_read_fd, ret_fd, err);
	if (r < 0)
		unlinkat(dir_fd, name, 0);
	return r;
}
