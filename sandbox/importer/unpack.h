/*
 * Unpacking entries of archives into a directory, under limits that hold for all of them together.
 */
#pragma once

#include "base/err.h"
#include "sandbox/image_import.h"
#include "sandbox/importer/source.h"
#include "sandbox/importer/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct unpack_config {
	/* Reads up to size bytes of the archive: their number, 0 at its end, -errno. */
	ssize_t (*read)(void *arg, void *buf, size_t size);
	/* Called a few times a second; a negative return ends it all. May be NULL. */
	int (*progress)(void *arg, const struct image_report *report);
	/*
	 * The directory for a snapshot, the caller's, or -errno; what was unpacked before is in the
	 * report. May be NULL where limits.snapshots is 0.
	 */
	int (*next_tree)(
		void *arg, const struct image_report *report, const struct snapshot_row *row);
	void *arg;
	struct image_limits limits;
	const char
		*reference; /* which image of an archive with several; "" or NULL: the only one */
};

struct dir_time {
	struct timespec mtime;
	size_t path; /* offset in `paths` */
};

/* Times of directories: set at the end, since every entry made in one changes it. */
struct dir_times {
	struct dir_time *items;
	size_t n;
	size_t capacity;
	char *paths;
	size_t paths_size;
	size_t paths_capacity;
};

struct unpack {
	const struct unpack_config *config;
	struct source *source; /* of the entries at hand */
	const char *prefix;    /* only what is below it, as the root; NULL: all */
	bool layered;	       /* a later entry replaces a directory with all it holds */
	struct tree tree;
	struct dir_times times;
	struct image_report *report;
	uint64_t worked_bytes; /* read without being unpacked here: for the progress */
	uint64_t worked_entries;
	bool several; /* trees, one behind the other: an entry of the root begins the next */
	struct archive_entry *next_root; /* that entry, when it has come; owned */
	uint64_t last_progress_usec;
};

/* root_fd is an empty directory, which stays the caller's. Clears the report. */
void unpack_init(struct unpack *u, int root_fd, const struct unpack_config *config,
	struct image_report *report);
void unpack_finish(struct unpack *u);

/*
 * Counts, checks and unpacks the entry whose header has just been read. Entries are named relative
 * to the root; a later one replaces an earlier one of its name; devices and sockets are left out
 * and counted. Returns 0, -EINVAL (IMAGE_INVALID), -EDQUOT (IMAGE_TOO_LARGE) or -errno.
 */
int unpack_next(struct unpack *u, struct archive_entry *entry, struct err *err);
/* The same for all that are left of u->source; of `several`, of this tree. */
int unpack_rest(struct unpack *u, struct err *err);
/* Gives directories their times, once all is unpacked. */
void unpack_set_dir_times(struct unpack *u);

/* Reports now and then; called whenever something was done. */
int unpack_tick(struct unpack *u, struct err *err);
int unpack_check_limits(const struct unpack *u, struct err *err);

/* A failed write, by what is to be done about it. */
int unpack_write_failed(struct err *err, int r, const char *path);
