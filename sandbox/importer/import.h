/* One import, from its first byte: which kind of image it is, and all that follows from that. */
#pragma once

#include "base/wire.h"
#include "sandbox/importer/unpack.h"

/*
 * Reads an image into root_fd, an empty directory. What it is shows from what it holds, the first
 * entry's name above all: a root file system as a tar; an image of LXD or Incus, unified or split;
 * an OCI image layout; what docker or podman save. ret counts what was done, on failure as well;
 * its init is set. ret_config is an application image's config (image_config_write()), empty for
 * others; the caller finishes it in either case. Returns 0, -EINVAL (IMAGE_INVALID and others of
 * manifest.h), -EDQUOT (IMAGE_TOO_LARGE) or -errno.
 */
int import_run(int root_fd, const struct unpack_config *config, struct image_report *ret,
	struct wire_writer *ret_config, struct err *err);
