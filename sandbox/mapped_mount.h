/* Mounts whose ids are those of a container: on disk ids start at 0, whatever its range is. */
#pragma once

#include <stdint.h>

/*
 * Clones the mount of a directory, from there down and without what is mounted below, maps its ids
 * by the user namespace, and sets attributes (MOUNT_ATTR_*). Returns the detached mount, the
 * caller's, or -errno: -EINVAL where the file system cannot map ids. Source: open_tree(2),
 * mount_setattr(2).
 */
int mapped_mount_clone(int dir_fd, int userns_fd, uint64_t attributes);
