/* Removal of a directory tree that a hostile tenant made. */
#pragma once

#include "base/err.h"

/*
 * Removes parent_fd/name and everything below it, without following a symbolic link, with a
 * bounded number of open descriptors and no path longer than one name, however deep the tree is.
 * Nobody else may be writing to it. Returns 0 (also when there is none) or -errno.
 */
int tree_remove_at(int parent_fd, const char *name, struct err *err);
