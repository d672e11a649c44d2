/* Shared by unpack.c (the stream) and unpack_entry.c (one entry). */
#pragma once

#include "sandbox/importer/unpack.h"

/* Handles the entry whose header has just been read; reads its data. */
int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *err);

/* Notes a directory's time for later. */
int dir_times_add(
	struct dir_times *times, const char *path, const struct timespec *mtime, struct err *err);
