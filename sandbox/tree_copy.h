/*
 * Copying a tree that a tenant has written: owners, modes, times, extended attributes (so also
 * ACLs, file capabilities and overlayfs' own marks), hard links, holes and whiteouts come out as
 * they were. Data is shared with the source where the file system can (FICLONE).
 *
 * Nothing is followed: every object is opened by its one name in its directory, without links, and
 * used through that descriptor. The source must not change meanwhile (a snapshot, or a container
 * that is stopped or frozen). Only workers call this: it takes as long as the tree is large.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct tree_copy_options {
	/*
	 * The source is an overlay's upper, and is laid over what the target holds: whiteouts
	 * remove, opaque directories hide, and overlayfs' marks are left out. A mark that only
	 * overlayfs could resolve (a redirect) is FAILED_PRECONDITION / LAYER_UNMERGEABLE.
	 */
	bool merge;
	/* Never share data: what is copied must not count to whom it came from. */
	bool own_data;
};

struct tree_report {
	uint64_t bytes;	  /* of data, as allocated; shared or not */
	uint64_t entries; /* but the tree's own directory */
};

/*
 * Copies what is in the directory from_fd, and its own attributes, into the directory to_fd, which
 * must be empty unless options.merge. Both are open directories (not O_PATH) and stay the
 * caller's; a failure leaves the target half-made. ret_report may be NULL. Devices other than
 * whiteouts and mount points are refused: TREE_HAS_DEVICE, TREE_HAS_MOUNT.
 */
int tree_copy(int from_fd, int to_fd, const struct tree_copy_options *options,
	struct tree_report *ret_report, struct err *err);

/* What a tree holds, without a copy. Hard links count once in bytes. */
int tree_measure(int fd, struct tree_report *ret_report, struct err *err);
