/*
 * What `image import` sends: the bytes of a file or pipe as they are, or a tar made on the way of
 * the two archives of a split LXD image or of a directory with an OCI image layout.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct archive_source;

/* The file `path`, or standard input for "-"; a directory must be an OCI image layout. */
int archive_source_open(const char *path, struct archive_source **ret, struct err *err);
/* Two files: LXD's metadata and its root file system. */
int archive_source_open_split(
	const char *metadata, const char *rootfs, struct archive_source **ret, struct err *err);
/* An open file, which becomes the source's, also on failure. */
int archive_source_of_fd(int fd, struct archive_source **ret, struct err *err);
void archive_source_close(struct archive_source *source);

/* To be polled before it is read. */
int archive_source_poll_fd(const struct archive_source *source);
/* How much there is in all; 0 when that is not known. */
uint64_t archive_source_size(const struct archive_source *source);
/*
 * Reads up to size bytes, size being at least TAR_HEADER_MAX: their number, 0 at the end, -EAGAIN,
 * or -errno with err filled.
 */
ssize_t archive_source_read(struct archive_source *source, void *buf, size_t size, struct err *err);

static inline void cleanup_archive_source(struct archive_source **source)
{
	archive_source_close(*source);
}
#define _cleanup_archive_source_ __attribute__((cleanup(cleanup_archive_source)))
