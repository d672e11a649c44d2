/*
 * Where in a container something may be mounted: an absolute path in its plainest form. Every
 * process that is handed one checks it again.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

#define MOUNT_PATH_SIZE 128 /* the longest and its terminator */

/*
 * Checks a path: absolute, no empty, `.` or `..` part, no control character, not the root itself
 * nor in /dev, /proc or /sys, which are Croft's to fill. Returns 0 or -EINVAL with INVALID_ARGUMENT
 * / MOUNT_PATH_INVALID.
 */
int mount_path_check(const char *path, struct err *err);

/* True for a terminated valid path within a fixed-size field of a peer's message. */
bool mount_path_field_is_valid(const char field[static MOUNT_PATH_SIZE]);

/* True when they are the same, or one lies inside the other. Both are valid. */
bool mount_path_overlap(const char *a, const char *b);
