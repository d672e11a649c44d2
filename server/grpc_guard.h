/*
 * Watches the frame headers of what a client sends, before nghttp2 sees them: whether a frame or a
 * block of headers stands half-received, and floods of frames that cost the client nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRPC_GUARD_BURST  1000 /* cheap frames in a row without an answered call */
#define GRPC_GUARD_REFILL 100  /* and a second (RFC 9113, section 10.5) */

#define GRPC_GUARD_PREFACE_TICKS 10u /* seconds until the client's preface is complete */
#define GRPC_GUARD_FRAME_TICKS	 20u /* seconds for one frame, or one block of headers */

struct grpc_guard {
	unsigned preface_left;
	uint8_t header[9];
	unsigned n_header;
	uint32_t payload_left;
	bool in_headers; /* HEADERS came without END_HEADERS */
	unsigned ticks;	 /* since the present frame began */
	int tokens;
};

void grpc_guard_init(struct grpc_guard *g);
/* Returns false when the connection floods and must be closed. */
bool grpc_guard_feed(struct grpc_guard *g, const uint8_t *data, size_t size);
/* The client's preface is not complete. */
bool grpc_guard_in_preface(const struct grpc_guard *g);
/* Once a second. Returns false when what has begun takes too long, and the connection must go. */
bool grpc_guard_tick(struct grpc_guard *g);
/* Part of an answer went out: a client that works may also send PINGs. */
void grpc_guard_reset(struct grpc_guard *g);
