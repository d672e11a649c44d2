/* Whiteouts (opencontainers/image-spec, layer.md): how a layer removes what lower ones have. */
#pragma once

#include "base/err.h"
#include "sandbox/importer/tree.h"

#include <stdbool.h>

/* True when the name's last component is a whiteout's. path is clean, see entry_path.h. */
bool whiteout_is(const char *path);

/*
 * Removes what a whiteout hides. What is not there is no fault. -EINVAL (IMAGE_INVALID) for one
 * that stands for no name. tree_forget() is due before the tree is used on.
 */
int whiteout_apply(const struct tree *tree, const char *path, struct err *err);
