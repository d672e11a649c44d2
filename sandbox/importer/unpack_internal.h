/* Shared by unpack.c (the stream) and unpack_entry.c (one entry). */
#pragma once

#include "sandbox/importer/tree.h"
#include "sandbox/importer/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <stddef.h>
#include <time.h>

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
	struct archive *archive;
	struct tree tree;
	struct dir_times times;
	struct image_report *report;
	uint64_t last_progress_usec;
	int read_error; /* of config->read, else 0 */
};

/* Handles the entry whose header has just been read; reads its data. */
int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *err);

/* Reports now and then; called whenever something was done. */
int unpack_tick(struct unpack *u, struct err *err);

/* Turns what libarchive returned into an error: of the stream, the memory, or the archive. */
int unpack_archive_error(struct unpack *u, struct err *err);

int unpack_check_limits(const struct unpack *u, struct err *err);

/* Notes a directory's time for later. */
int dir_times_add(
	struct dir_times *times, const char *path, const struct timespec *mtime, struct err *err);
