/*
 * Which disk a directory is on; see block_device.h. Only sysfs is asked, never a name in /dev: that
 * may be another's by now. Must never guess: a limit on the wrong disk holds nobody.
 */
#include "sandbox/block_device.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/btrfs_ioctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PATH_SIZE 128

static struct block_device unknown(const char *why)
{
	return (struct block_device){.unknown = why};
}

/* Of a device's directory in sysfs. A partition's is in that of its disk. */
static struct block_device read_number(int sysfs_fd)
{
	bool is_part = faccessat(sysfs_fd, "partition", F_OK, 0) == 0;
	struct block_device device = {0};
	char text[32];

	if (fd_read_text_at(sysfs_fd, is_part ? "../dev" : "dev", text, sizeof(text)) < 0 ||
		sscanf(text, "%u:%u", &device.major, &device.minor) != 2)
		return unknown("the kernel does not tell the number of the pool's disk");
	return device;
}

static void format_path(const uint8_t id[static BTRFS_IOCTL_FSID_SIZE], char ret[static PATH_SIZE])
{
	size_t len = (size_t)snprintf(ret, PATH_SIZE, "/sys/fs/btrfs/");

	for (size_t i = 0; i < BTRFS_IOCTL_FSID_SIZE; i++) {
		bool is_joint = i == 4 || i == 6 || i == 8 || i == 10;

		len += (size_t)snprintf(
			ret + len, PATH_SIZE - len, "%s%02x", is_joint ? "-" : "", id[i]);
	}
	snprintf(ret + len, PATH_SIZE - len, "/devices");
}

/* The single device of a btrfs. Returns its directory in sysfs, or -errno; -E2BIG: several. */
static int open_btrfs_device(int dir_fd)
{
	_cleanup_closedir_ DIR *dir = NULL;
	uint8_t id[BTRFS_IOCTL_FSID_SIZE];
	char device[NAME_MAX + 1] = "";
	char path[PATH_SIZE];
	const struct dirent *entry;
	int r = btrfs_fsid(dir_fd, id);

	if (r < 0)
		return r;
	format_path(id, path);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (device[0])
			return -E2BIG;
		snprintf(device, sizeof(device), "%s", entry->d_name);
	}
	r = openat(dirfd(dir), device, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

struct block_device block_device_of(int dir_fd)
{
	_cleanup_close_ int sysfs_fd = -1;
	char path[PATH_SIZE];
	struct statfs fs;
	struct stat st;

	if (fstat(dir_fd, &st) < 0 || fstatfs(dir_fd, &fs) < 0)
		return unknown("the pool's file system does not answer");
	if (fs.f_type == BTRFS_SUPER_MAGIC) {
		sysfs_fd = open_btrfs_device(dir_fd);
		if (sysfs_fd == -E2BIG)
			return unknown("the pool is on several disks, each of which would have to "
				       "be limited for itself");
	} else if (major(st.st_dev) == 0) {
		return unknown("the pool's file system (overlay, network or memory) is on no disk "
			       "of its own");
	} else {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_dev),
			minor(st.st_dev));
		sysfs_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (sysfs_fd < 0)
		return unknown("the kernel does not tell which disk the pool is on");
	return read_number(sysfs_fd);
}
