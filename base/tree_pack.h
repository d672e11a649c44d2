/*
 * Writing a file or a whole directory as a tar stream. What is neither file, directory nor symbolic
 * link is left out; links are not followed; hard links become files of their own.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_DEPTH_MAX 256 /* directories within one another: each holds a descriptor */

struct tree_sink {
	/* Takes bytes of the stream; may block. Returns 0 or -errno with err. */
	int (*write)(void *arg, const void *data, size_t size, struct err *err);
	void *arg;
};

struct tree_report {
	uint64_t entries;
	uint64_t bytes;	   /* of contents */
	uint64_t left_out; /* sockets, devices, FIFOs */
};

/*
 * Packs dirfd/name (its last link not followed unless `follow`) as the archive's one top entry
 * `as`, with the archive's end. A file that shrinks meanwhile is FAILED_PRECONDITION /
 * FILE_CHANGED. Messages name paths below `as`. Returns 0 or -errno.
 */
int tree_pack(int dirfd, const char *name, bool follow, const char *as,
	const struct tree_sink *sink, struct tree_report *ret_report, struct err *err);
