/* Shutting the importer in, before it reads the first byte of an archive. */
#pragma once

#include "base/err.h"

#include <stdint.h>

/*
 * Makes the mount tree_fd the root, with nothing of the host left; sets resource limits, keeps
 * only the capabilities that unpacking needs, and the system calls that it uses. tree_fd is
 * closed. Irreversible. Returns 0 or -errno.
 */
int jail_enter(int tree_fd, uint64_t file_bytes_max, struct err *err);

/* The system call filter alone; see jail_filter.c. */
int jail_filter_load(struct err *err);
