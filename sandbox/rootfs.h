/*
 * A container's root: overlayfs of its image (shared, read-only) and its upper, both id-mapped, so
 * that ids on disk start at 0 whatever range the container runs under.
 */
#pragma once

#include "base/err.h"

#include <sys/types.h>

/*
 * Mounts the overlay, detached. image_fd: the image's tree; upper_fd: the directory holding
 * `upper` and `work`; userns_fd: the outer user namespace, whose first id is id_base. The caller is
 * a worker whose working directory holds the empty directories `lower` and `upper`: kernels that
 * cannot use detached layers get them attached there, in a mount namespace of the worker's own.
 * Returns 0 with the mount (nodev), the caller's. Source: mount_setattr(2),
 * Documentation/filesystems/overlayfs.rst.
 */
int rootfs_mount(int image_fd, int upper_fd, int userns_fd, uid_t id_base, int *ret_mount_fd,
	struct err *err);
