/*
 * Reading archives through libarchive: the import's stream, an archive within it, or the
 * decompressed bytes of a layer. The only place that says which formats and compressions are read.
 */
#pragma once

#include "base/err.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOURCE_HEAD_SIZE 8

/* Gives the next bytes, which live until the next call: their number, 0 at the end, -errno. */
typedef ssize_t (*source_read_fn)(void *arg, const void **ret_data);

struct source {
	source_read_fn read;
	void *arg;
	struct archive *archive;
	int read_error; /* of read(), else 0 */
	bool damaged;	/* it is no archive, or not a whole one */
	uint8_t head[SOURCE_HEAD_SIZE];
	size_t n_head;
};

enum source_kind {
	SOURCE_TAR,	  /* a tar: plain, or once in gzip, xz or zstd */
	SOURCE_TARS,	  /* the same, several one behind the other */
	SOURCE_PLAIN_TAR, /* a tar that is not compressed */
	SOURCE_BYTES,	  /* what gzip, xz or zstd holds, as one entry; plain bytes as they are */
};

/*
 * Opens it over read(). Returns 0 or -errno; source_close() is due in either case. The source must
 * not move until then.
 */
int source_open(struct source *source, enum source_kind kind, source_read_fn read, void *arg,
	struct err *err);
void source_close(struct source *source);

/* Returns 1 with the next entry, 0 at the end, -errno for what is damaged. */
int source_next(struct source *source, struct archive_entry **ret, struct err *err);

/*
 * Refuses a tar that ends at a header's place: libarchive takes that for the archive's end, while
 * a whole archive has a block of zeros there. To be called at the end.
 */
int source_check_end(const struct source *source, struct err *err);

/* Turns what libarchive returned into an error: of the stream, the memory, or the archive. */
int source_error(struct source *source, struct err *err);
