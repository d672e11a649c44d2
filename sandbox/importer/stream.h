/*
 * The bytes of an archive on their way to libarchive. Those of an export (docs/EXPORT-FORMAT.md)
 * are counted into its checksum, and its trailer is held back; so is that of what begins as the
 * middle of one.
 */
#pragma once

#include "base/err.h"
#include "sandbox/importer/unpack.h"
#include "sandbox/pack_run.h"
#include "sandbox/snapshot_list.h"

#include <nettle/sha2.h>

struct stream {
	const struct unpack_config *config;
	bool is_export;
	bool has_list; /* it is one with snapshots */
	struct snapshot_list list;
	bool is_bare;	 /* it is in zstd, and no export: it must not end like one */
	bool is_unknown; /* it begins like one, and is none that this program knows */
	bool ended;
	struct sha256_ctx sha;
	size_t n;    /* in the buffer */
	size_t gone; /* of them, given out before */
	uint8_t buffer[EXPORT_TRAILER_SIZE + (256u << 10)];
};

void stream_init(struct stream *stream, const struct unpack_config *config);
/* Finds out what it is; the first to be called. Refuses a list of snapshots that is damaged. */
int stream_begin(struct stream *stream, struct err *err);
/* As source_read_fn; arg is a struct stream. */
ssize_t stream_read(void *arg, const void **ret_data);
/* Whether its end says something: stream_check() reads up to there. */
bool stream_has_end(const struct stream *stream);
/*
 * To be called when all was unpacked, or nothing could be as it is unknown. Of an export, reads
 * what is left and compares the checksum; of what is in zstd, sees that it is none whose beginning
 * is lost: INVALID_ARGUMENT / EXPORT_DAMAGED. Of anything else nothing.
 */
int stream_check(struct stream *stream, struct err *err);
/* That an export could not be unpacked. Returns -EINVAL. */
int stream_damaged(struct err *err);
