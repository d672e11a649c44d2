/*
 * The tree being unpacked. Every name is resolved below its root by openat2(RESOLVE_IN_ROOT): a
 * symbolic link of the archive leads where it would lead inside the container, never outside, so
 * an entry below a linked directory (lib -> usr/lib) lands where it should.
 */
#pragma once

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct tree {
	int root_fd;
	uint64_t made; /* parent directories that no entry had named */
	/* The last parent looked up; -1: none. Only what lies in it changes until the next. */
	int parent_fd;
	char parent[PATH_MAX]; /* its name */
};

/* root_fd stays the caller's. */
void tree_init(struct tree *tree, int root_fd);
void tree_finish(struct tree *tree);

/*
 * Opens what `path` (clean, see entry_path.h) leads to, following links within the root.
 * Returns the descriptor or -errno.
 */
int tree_open(const struct tree *tree, const char *path, int flags);

/*
 * The directory that path's last component is in, made with its parents (0755, root) where it is
 * missing. ret_fd is the tree's, valid until the next call; ret_name points into path. path is not
 * "". Returns 0, or -EINVAL (IMAGE_INVALID) when something on the way is no directory.
 */
int tree_parent(
	struct tree *tree, const char *path, int *ret_fd, const char **ret_name, struct err *err);

/* To be called when something was removed by other means: the last parent may be gone. */
void tree_forget(struct tree *tree);

/*
 * Removes what is at parent_fd/name, as a later entry of the same name does. A directory must be
 * empty, unless `whole`. Returns 0 (also when nothing is there) or -EINVAL (IMAGE_INVALID).
 */
int tree_clear(int parent_fd, const char *name, bool whole, struct err *err);

/* Makes the directory `path` (clean) with its parents where it is missing, as tree_parent(). */
int tree_make_dir(struct tree *tree, const char *path, struct err *err);
