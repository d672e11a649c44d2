/*
 * A container's root: overlayfs of its image (shared, read-only) and its upper, both id-mapped, so
 * that ids on disk start at 0 whatever range the container runs under.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* The reason of an error: nothing could be written, because the disk is full or worse. */
#define ROOTFS_READ_ONLY "ROOT_READ_ONLY"

/* An image's tree and a container's directory, id-mapped, and in nobody's mount namespace. */
#define ROOTFS_LAYERS_N 2
struct rootfs_layers {
	int fds[ROOTFS_LAYERS_N];
	uid_t id_base;
	bool attached; /* they are now: in one of the caller's own */
};

/*
 * image_fd: the image's tree; upper_fd: the directory holding `upper` and `work`; userns_fd: the
 * outer user namespace, whose first id is id_base. Source: mount_setattr(2).
 */
int rootfs_layers_open(struct rootfs_layers *ret, int image_fd, int upper_fd, int userns_fd,
	uid_t id_base, struct err *err);
void rootfs_layers_close(struct rootfs_layers *layers);

/*
 * Mounts the overlay, detached. The caller is a worker whose working directory holds the empty
 * directories `lower` and `upper`: kernels that cannot use detached layers get them attached there,
 * in a mount namespace of the worker's own. May be tried again after ROOTFS_READ_ONLY.
 * Returns 0 with the mount (nodev), the caller's. Source: mount_setattr(2),
 * Documentation/filesystems/overlayfs.rst.
 */
int rootfs_mount(struct rootfs_layers *layers, int *ret_mount_fd, struct err *err);
