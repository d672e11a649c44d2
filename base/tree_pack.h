/*
 * Writing a file or a whole directory as a tar stream. What is neither file, directory nor symbolic
 * link is left out, and said to be; links are not followed; hard links become files of their own.
 */
#pragma once

#include "base/err.h"
#include "base/tree_left_out.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_DEPTH_MAX 256 /* directories within one another: each holds a descriptor */
/*
 * Files that say they have no bytes may be the kernel's (/proc), whose size is known when they have
 * been read: as much as this of one.
 */
#define TREE_UNSIZED_MAX (4u << 20)

struct tree_sink {
	/* Takes bytes of the stream; may block. Returns 0 or -errno with err. */
	int (*write)(void *arg, const void *data, size_t size, struct err *err);
	void *arg;
};

struct tree_report {
	uint64_t entries;
	uint64_t bytes; /* of contents */
	struct tree_left_out left_out;
};

/*
 * Packs dirfd/name (its last link not followed unless `follow`) as the archive's one top entry
 * `as`, with the archive's end. A small file has the bytes that could be read of it; a larger one
 * that shrinks meanwhile is FAILED_PRECONDITION / FILE_CHANGED. Messages name paths below `as`.
 * Returns 0 or -errno.
 */
int tree_pack(int dirfd, const char *name, bool follow, const char *as,
	const struct tree_sink *sink, struct tree_report *ret_report, struct err *err);
