/*
 * Data for cloud-init as a file system of its own; see cloud_mount.h. Nothing of it is written to
 * the container's disk, where a snapshot, copy or image would take it along, and no name below the
 * container's root is followed.
 */
#include "sandbox/cloud_mount.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cloud_seed.h"
#include "sandbox/mounts.h"
#include "sandbox/volume_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

static const char *const names[CLOUD_SEED_N] = {
	[CLOUD_SEED_USER_DATA] = "user-data",
	[CLOUD_SEED_META_DATA] = "meta-data",
	[CLOUD_SEED_NETWORK] = "network-config",
};

static int write_file(int dir_fd, const char *name, const void *data, size_t size, struct err *err)
{
	_cleanup_close_ int fd = openat(
		dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	int r = fd < 0 ? -errno : fd_write_full(fd, data, size);

	return r < 0 ? err_sys(err, r, "write cloud-init's %s", name) : 0;
}

static int fill(int dir_fd, const struct cloud_seed *seed, struct err *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	int r = 0;

	for (size_t i = 0; r == 0 && i < CLOUD_SEED_N; i++)
		r = write_file(dir_fd, names[i], seed->files[i].data, seed->files[i].size, err);
	if (r == 0 && mount_setattr(dir_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		r = err_sys(err, errno, "make cloud-init's data read-only");
	return r;
}

int cloud_mount(int seed_fd, int root_fd, struct err *err)
{
	_cleanup_close_ int fs_fd = -1;
	struct cloud_seed seed;
	struct err why = {0};
	int r = cloud_seed_open(seed_fd, &seed, err);

	if (r < 0)
		return r;
	fs_fd = mounts_make_small_fs();
	if (fs_fd < 0)
		return err_sys(err, fs_fd, "make the file system of cloud-init's data");
	r = fill(fs_fd, &seed, err);
	if (r < 0)
		return r;
	r = volume_mount_attach(fs_fd, root_fd, CLOUD_SEED_PATH, &why);
	if (r < 0 && why.code == ERR_FAILED_PRECONDITION)
		return err_set(err, ERR_FAILED_PRECONDITION, "CLOUD_INIT_PATH_INVALID",
			"the data for cloud-init cannot be put at " CLOUD_SEED_PATH
			": a link, a file or a volume is on the way; remove it, or take the data "
			"from the container (--no-cloud-init)");
	if (r < 0 && err)
		*err = why;
	return r;
}
