/* Whether an image is an application, and how that is run. */
#pragma once

#include "base/wire.h"
#include "sandbox/importer/manifest.h"
#include "sandbox/importer/tree.h"

/*
 * Writes the config of an application image; nothing for one that is a distribution: an init was
 * found (in report) and the manifest has no command, or but a shell. The working directory is made
 * where it is missing. Returns 0, or -EINVAL (IMAGE_INVALID) for a config that is too large.
 */
int app_config_write(const struct manifest *m, struct tree *tree, const struct image_report *report,
	struct wire_writer *w, struct err *err);
