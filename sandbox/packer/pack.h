/* Packing a tree into one stream; see docs/EXPORT-FORMAT.md for what comes out. */
#pragma once

#include "base/err.h"
#include "sandbox/pack_run.h"

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Files with several names: where the first one was packed. */
struct pack_links {
	struct pack_link *slots;
	size_t capacity; /* a power of two, or 0 */
	size_t n;
	size_t bytes; /* of their names */
};

struct pack {
	struct archive *archive;
	struct archive_entry *entry; /* reused */
	char *buffer;
	int out_fd;
	int write_error; /* of out_fd, else 0 */
	struct sha256_ctx sha;
	struct pack_total total;
	uint64_t told_usec;
	/* Told now and then. May be NULL. */
	int (*progress)(void *arg, const struct pack_total *total);
	void *arg;
	char path[PATH_MAX]; /* of the entry at hand, which begins with "." */
	dev_t device;	     /* of the tree */
	struct pack_links links;
};

/*
 * Begins the stream on out_fd, which stays the caller's; list: of the snapshots whose trees follow
 * the container's, NULL when none do. pack_finish() is due in either case.
 */
int pack_init(struct pack *pack, int out_fd, const char *list, size_t list_size, struct err *err);
void pack_finish(struct pack *pack);

/*
 * Adds the directory root_fd (not O_PATH; the caller's) with all it holds, as a tar. Nothing is
 * followed; nothing may change meanwhile. Sockets and devices are left out. FAILED_PRECONDITION /
 * EXPORT_UNPACKABLE for what has no place in the format.
 */
int pack_tree(struct pack *pack, int root_fd, struct err *err);
/* Ends the stream, with the checksum. */
int pack_end(struct pack *pack, struct err *err);

/* --- between the files of the packer --- */

/* Each tar begins and ends in a zstd frame of its own. */
int pack_begin_tar(struct pack *pack, struct err *err);
int pack_end_tar(struct pack *pack, struct err *err);

/* Adds the entry at pack->path, which is dir_fd/name; fd is it, opened, where it can be, else -1.
 */
int pack_node(struct pack *pack, int dir_fd, const char *name, int fd, const struct stat *st,
	struct err *err);
/* Writes the entry's header; what it says about a failure is the stream's. */
int pack_header(struct pack *pack, struct err *err);
int pack_data(struct pack *pack, const void *data, size_t size, struct err *err);
int pack_refuse(struct pack *pack, struct err *err, const char *why);

/*
 * The first name of this inode, or NULL after noting `path` for it; -ENOMEM or -E2BIG by
 * *ret_error.
 */
const char *pack_links_find(struct pack_links *links, ino_t ino, const char *path, int *ret_error);
void pack_links_clear(struct pack_links *links);
