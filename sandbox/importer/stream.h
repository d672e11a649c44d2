/*
 * The bytes of an archive on their way to libarchive. Those of an export (docs/EXPORT-FORMAT.md)
 * are counted into its checksum, and its trailer is held back.
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
/*
 * To be called when all was unpacked, or nothing could be as it is unknown: of an export, reads
 * what is left and compares the checksum: INVALID_ARGUMENT / EXPORT_DAMAGED. Of anything else
 * nothing.
 */
int stream_check(struct stream *stream, struct err *err);
