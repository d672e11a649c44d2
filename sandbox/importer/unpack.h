/* Unpacking a tar stream into a directory, under limits. */
#pragma once

#include "base/err.h"
#include "sandbox/image_import.h"

#include <stddef.h>
#include <sys/types.h>

struct unpack_config {
	/* Reads up to size bytes of the archive: their number, 0 at its end, -errno. */
	ssize_t (*read)(void *arg, void *buf, size_t size);
	/* Called a few times a second; a negative return ends it all. May be NULL. */
	int (*progress)(void *arg, const struct image_report *report);
	void *arg;
	struct image_limits limits;
};

/*
 * Unpacks below root_fd, an empty directory. Formats: tar, plain or in gzip, xz or zstd. Entries
 * are named relative to the root; a later entry replaces an earlier one of its name; devices and
 * sockets are left out and counted. ret counts what was done, on failure as well. Returns 0,
 * -EINVAL (IMAGE_INVALID), -EDQUOT (IMAGE_TOO_LARGE) or -errno.
 */
int unpack_run(
	int root_fd, const struct unpack_config *config, struct image_report *ret, struct err *err);
