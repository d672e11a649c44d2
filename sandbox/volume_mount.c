/*
 * Volumes and directories of the host in a container; see volume_mount.h. The way to a place is
 * gone step by step and by descriptor: nothing that the image or the tenant has put there leads
 * elsewhere.
 */
#include "sandbox/volume_mount.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/host_dirs.h"
#include "sandbox/mapped_mount.h"
#include "sandbox/pool_volume.h"
#include "sandbox/syscalls.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

int volume_mount_check(const struct msg_mount *mounts, size_t n, struct err *err)
{
	if (n > CONTAINER_MOUNTS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST",
			"a container has at most %d mounts", CONTAINER_MOUNTS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!name_field_is_valid(mounts[i].name) ||
			!mount_path_field_is_valid(mounts[i].path) || mounts[i].host > 1 ||
			mounts[i].read_only > 1)
			return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST",
				"a mount of the container is malformed");
		for (size_t k = 0; k < i; k++)
			if (mount_path_overlap(mounts[i].path, mounts[k].path))
				return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST",
					"two mounts of the container overlap");
	}
	return 0;
}

static int open_source(struct pool *pool, int host_dirs_fd, const char *tenant,
	const struct msg_mount *mount, int *ret_fd, struct err *err)
{
	return mount->host ? host_dirs_open(host_dirs_fd, mount->name, ret_fd, err)
			   : pool_volume_open(pool, tenant, mount->name, ret_fd, err);
}

int volume_mount_make(struct pool *pool, int host_dirs_fd, const char *tenant,
	const struct msg_mount *mount, int userns_fd, int *ret_fd, struct err *err)
{
	uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	_cleanup_close_ int source = -1;
	int fd;
	int r = open_source(pool, host_dirs_fd, tenant, mount, &source, err);

	if (r < 0)
		return err_wrap(err, r, "mount %s", mount->path);
	if (mount->host || mount->read_only)
		attributes |= MOUNT_ATTR_RDONLY;
	fd = mapped_mount_clone(source, userns_fd, attributes);
	if (fd == -EINVAL)
		return err_set(err, ERR_FAILED_PRECONDITION, "IDS_NOT_MAPPABLE",
			"mount %s: the file system of %s cannot map ids, which a container needs; "
			"have the operator keep it on another",
			mount->path, mount->name);
	if (fd < 0)
		return err_sys(err, fd, "map the ids of %s", mount->name);
	*ret_fd = fd;
	return 0;
}

/* One step, made if it is missing. Takes dir_fd over; returns the next, or -errno. */
static int take_step(int dir_fd, const char *name)
{
	_cleanup_close_ int here = dir_fd;

	if (mkdirat(here, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return sys_openat2(here, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

static int cannot_mount(const char *path, int r, struct err *err)
{
	if (r == -ENOTDIR || r == -ELOOP || r == -EXDEV)
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "MOUNT_PATH_INVALID", "path",
			"nothing can be mounted on %s: a link, a file or another mount is on the "
			"way; remove it, or detach and choose another path",
			path);
	if (r == -EDQUOT || r == -ENOSPC)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "DISK_LIMIT", "disk",
			"the disk is full: there is no room to make the directory %s", path);
	return err_sys(err, r, "mount %s", path);
}

int volume_mount_attach(int mount_fd, int root_fd, const char *path, struct err *err)
{
	_cleanup_close_ int at = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	char steps[MOUNT_PATH_SIZE];
	mode_t old = umask(0);
	char *rest = NULL;

	snprintf(steps, sizeof(steps), "%s", path);
	for (char *step = strtok_r(steps, "/", &rest); step && at >= 0;
		step = strtok_r(NULL, "/", &rest)) {
		int next = take_step(take_fd(&at), step);

		if (next < 0) {
			umask(old);
			return cannot_mount(path, next, err);
		}
		at = next;
	}
	umask(old);
	if (at < 0)
		return err_sys(err, errno, "open the container's root");
	if (move_mount(mount_fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return cannot_mount(path, -errno, err);
	return 0;
}
