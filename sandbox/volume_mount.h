/*
 * What is mounted in a container beside its root: volumes of its tenant, and directories of the
 * host. The builder makes the mounts; the outer process attaches them, before any process of the
 * tenant runs, so that inside they are locked as everything is: neither unmounted nor made
 * writable.
 */
#pragma once

#include "base/err.h"
#include "sandbox/pool.h"
#include "sandbox/protocol.h"

/* Checks a peer's list: names, places that do not overlap. INVALID_ARGUMENT. */
int volume_mount_check(const struct msg_mount *mounts, size_t n, struct err *err);

/*
 * A detached mount of what is named, the caller's: its ids those of the container, nosuid, nodev,
 * and read-only where asked or the host's. Needs the host's mount namespace.
 */
int volume_mount_make(struct pool *pool, int host_dirs_fd, const char *tenant,
	const struct msg_mount *mount, int userns_fd, int *ret_fd, struct err *err);

/*
 * Attaches it on a directory of the container's root, made where it is missing, as the root of the
 * outer user namespace. No symbolic link is followed on the way: FAILED_PRECONDITION /
 * MOUNT_PATH_INVALID.
 */
int volume_mount_attach(int mount_fd, int root_fd, const char *path, struct err *err);
