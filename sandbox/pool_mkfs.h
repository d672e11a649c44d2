/* Making the pool's file: mkfs.btrfs on a sparse file. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* True when mkfs.btrfs is installed. */
bool pool_mkfs_available(void);

/*
 * Makes dir_fd/name: a sparse file of size bytes with an empty btrfs, durable, and under that name
 * only when it is complete. The caller holds the pool's lock. Returns 0 or -errno.
 */
int pool_mkfs(int dir_fd, const char *name, uint64_t size, struct err *err);
