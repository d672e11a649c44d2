/*
 * Loop devices; see loop.h. Talks to the kernel through /dev/loop-control, /sys/block and the
 * devices' ioctls. Must never attach a file that some device already has.
 */
#include "sandbox/loop.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define LOOP_CONTROL	"/dev/loop-control"
#define LOOP_BLOCK_SIZE 4096 /* direct I/O wants the file system's own unit */
#define LOOP_TRIES	64   /* free devices others took before us */

static int open_device(int number, char ret_path[static LOOP_PATH_SIZE])
{
	int fd;

	snprintf(ret_path, LOOP_PATH_SIZE, "/dev/loop%d", number);
	fd = open(ret_path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int backs(int device_fd, const struct stat *file)
{
	struct loop_info64 info;

	/* A device on its way out answers ENXIO: it has let go of the file already. */
	return ioctl(device_fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == file->st_dev &&
	       info.lo_inode == file->st_ino;
}

int loop_find(int file_fd, int *ret_fd, char ret_path[static LOOP_PATH_SIZE], struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	struct stat st;

	if (!dir)
		return err_sys(err, errno, "list the host's block devices");
	if (fstat(file_fd, &st) < 0)
		return err_sys(err, errno, "look at the pool's file");
	while (errno = 0, (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		char path[LOOP_PATH_SIZE];
		char attribute[NAME_MAX + 32];
		int number;
		char rest;

		if (sscanf(entry->d_name, "loop%d%c", &number, &rest) != 1)
			continue;
		/* The directory `loop` is there only while a file is attached. */
		snprintf(attribute, sizeof(attribute), "%s/loop", entry->d_name);
		if (faccessat(dirfd(dir), attribute, F_OK, 0) < 0)
			continue;
		fd = open_device(number, path);
		if (fd < 0 && fd != -ENOENT && fd != -ENXIO && fd != -EBUSY)
			return err_sys(err, fd, "open a loop device to see what it holds");
		if (fd < 0 || !backs(fd, &st))
			continue;
		memcpy(ret_path, path, sizeof(path));
		*ret_fd = take_fd(&fd);
		return 0;
	}
	return errno ? err_sys(err, errno, "list the host's block devices") : -ENOENT;
}

static int configure(int control_fd, int file_fd, int *ret_fd, char ret_path[static LOOP_PATH_SIZE])
{
	struct loop_config config = {
		.fd = (uint32_t)file_fd,
		.block_size = LOOP_BLOCK_SIZE,
		.info = {.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO},
	};
	int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
	_cleanup_close_ int fd = -1;

	if (number < 0)
		return -errno;
	fd = open_device(number, ret_path);
	if (fd < 0)
		return fd;
	if (ioctl(fd, LOOP_CONFIGURE, &config) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

int loop_attach(int file_fd, int *ret_fd, char ret_path[static LOOP_PATH_SIZE], struct err *err)
{
	_cleanup_close_ int control = -1;
	int r = loop_find(file_fd, ret_fd, ret_path, err);

	if (r != -ENOENT)
		return r;
	control = open(LOOP_CONTROL, O_RDWR | O_CLOEXEC);
	if (control < 0)
		return err_sys(err, errno, "open the host's loop device control");
	for (int tries = 0; tries < LOOP_TRIES; tries++) {
		r = configure(control, file_fd, ret_fd, ret_path);
		if (r != -EBUSY)
			break;
	}
	return r < 0 ? err_sys(err, r, "attach the pool's file to a loop device") : 0;
}

int loop_release(int file_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char path[LOOP_PATH_SIZE];
	int r = loop_find(file_fd, &fd, path, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* With other users left the kernel only marks it to go with the last of them. */
	if (ioctl(fd, LOOP_CLR_FD, 0) < 0 && errno != ENXIO)
		return err_sys(err, errno, "let the pool's loop device go");
	return 0;
}

int loop_is_usable(void)
{
	_cleanup_close_ int control = open(LOOP_CONTROL, O_RDWR | O_CLOEXEC);

	return control >= 0 && ioctl(control, LOOP_CTL_GET_FREE) >= 0;
}
