/*
 * Directories of the host that containers may have, read-only, by name. The list is the host's
 * root's alone: symbolic links in `host-directories` of the supervisor's own directory, each named
 * as croftd will name it and holding an absolute path. No path ever comes from a peer.
 */
#pragma once

#include "base/err.h"

#define HOST_DIRS_DIR "host-directories" /* in state/supervisor */

/*
 * Opens what the list has under the name (O_PATH): a directory to which every step from the root
 * is a plain directory of root's that nobody else may change. list_fd is the list. NOT_FOUND /
 * HOST_DIRECTORY_NOT_ALLOWED; FAILED_PRECONDITION / HOST_DIRECTORY_UNSAFE.
 */
int host_dirs_open(int list_fd, const char *name, int *ret_fd, struct err *err);
