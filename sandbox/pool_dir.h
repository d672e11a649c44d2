/*
 * What the drivers share whose pool is a directory of a file system that somebody else mounted:
 * the mount, and directories that appear as a whole. A half-made one is `<name>.part` beside what
 * it will be.
 */
#pragma once

#include "sandbox/pool_internal.h"

/* Mounts the pool's directory on itself, so that nosuid and nodev hold here too. */
int pool_dir_mount(const struct pool_config *config, struct err *err);
/* Removes parent/name and what a copy of that name may have left. Idempotent. */
int pool_dir_drop(int parent_fd, const char *name, struct err *err);

/* Fills the new directory; its name is not yet what it will be. */
typedef int (*pool_dir_fill)(int dir_fd, void *arg, struct err *err);

/* Makes parent/name, filled and on the disk, or nothing. -EEXIST when the name is taken. */
int pool_dir_make(int parent_fd, const char *name, pool_dir_fill fill, void *arg, struct err *err);
