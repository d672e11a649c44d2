/*
 * gRPC's length-prefixed messages, cut out of a stream of bytes, and the byte queue behind it.
 *
 * A message is one flag byte, four length bytes (big-endian) and the body
 * (grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"); the borders of DATA frames mean nothing.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRPC_PREFIX_SIZE 5u

/* Bytes in order: appended at the end, taken from the start. All zero is an empty one. */
struct grpc_buf {
	uint8_t *data;
	size_t start;
	size_t end;
	size_t capacity;
};

static inline size_t grpc_buf_size(const struct grpc_buf *b)
{
	return b->end - b->start;
}

void grpc_buf_finish(struct grpc_buf *b);
/* Room for size bytes at the end, not yet part of it (grpc_buf_commit()); NULL: no memory. */
uint8_t *grpc_buf_reserve(struct grpc_buf *b, size_t size);
void grpc_buf_commit(struct grpc_buf *b, size_t size);
/* Returns 0 or -ENOMEM. */
int grpc_buf_append(struct grpc_buf *b, const void *data, size_t size);
/* Drops bytes from the start; gives large memory back when nothing is left. */
void grpc_buf_consume(struct grpc_buf *b, size_t size);

/* Writes a message's prefix. */
void grpc_frames_put_prefix(uint8_t out[static GRPC_PREFIX_SIZE], uint32_t size);

/* All zero is one that waits for a message's first byte. */
struct grpc_deframer {
	uint8_t prefix[GRPC_PREFIX_SIZE];
	unsigned n_prefix;
	uint32_t message_size;
	struct grpc_buf body; /* grows with what arrived, never with what was announced */
	bool delivered;	      /* body holds the message that was given out last */
};

void grpc_deframer_finish(struct grpc_deframer *d);
/*
 * Takes bytes from *data, which it moves on. Returns 1 with one whole message, valid until the
 * next call and while the bytes at *data are; 0 when all bytes were taken and more are needed; or
 * -errno: RESOURCE_EXHAUSTED above GRPC_MESSAGE_MAX (said before any of it is kept), INTERNAL for
 * a compressed message (no encoding is offered) or an unknown flag. After an error it is not to
 * be used again.
 */
int grpc_deframer_next(struct grpc_deframer *d, const uint8_t **data, size_t *size,
	const uint8_t **ret_message, size_t *ret_size, struct err *err);
/* True between two messages: the only place where a stream may end. */
bool grpc_deframer_is_between(const struct grpc_deframer *d);
