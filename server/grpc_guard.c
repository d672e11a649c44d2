/*
 * The frame guard; see grpc_guard.h. nghttp2 bounds resets, CONTINUATION frames and unsent
 * acknowledgements by itself; it has no limit on frames that it answers or ignores at once. The
 * guard only counts: it never judges what a frame says.
 */
#include "server/grpc_guard.h"

#include <nghttp2/nghttp2.h>

void grpc_guard_init(struct grpc_guard *g)
{
	*g = (struct grpc_guard){
		.preface_left = NGHTTP2_CLIENT_MAGIC_LEN, .tokens = GRPC_GUARD_BURST};
}

/* A frame for which the client pays almost nothing, and that moves no call forward. */
static bool is_cheap(uint8_t type, uint8_t flags, uint32_t length)
{
	switch (type) {
	case NGHTTP2_DATA:
		return length == 0 && !(flags & NGHTTP2_FLAG_END_STREAM);
	case NGHTTP2_HEADERS:
	case NGHTTP2_RST_STREAM: /* nghttp2 has its own rate */
	case NGHTTP2_WINDOW_UPDATE:
		return false;
	default:
		return true;
	}
}

static bool frame_begins(struct grpc_guard *g)
{
	uint32_t length = (uint32_t)g->header[0] << 16 | (uint32_t)g->header[1] << 8 | g->header[2];
	uint8_t type = g->header[3];
	uint8_t flags = g->header[4];

	g->n_header = 0;
	g->payload_left = length;
	if (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION)
		g->in_headers = !(flags & NGHTTP2_FLAG_END_HEADERS);
	return !is_cheap(type, flags, length) || --g->tokens >= 0;
}

/* The preface, a frame or a block of headers has begun and is not complete. */
static bool is_partial(const struct grpc_guard *g)
{
	return g->preface_left || g->n_header || g->payload_left || g->in_headers;
}

bool grpc_guard_feed(struct grpc_guard *g, const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;

	while (data < end) {
		size_t n = (size_t)(end - data);

		if (g->preface_left) {
			n = n < g->preface_left ? n : g->preface_left;
			g->preface_left -= (unsigned)n;
			data += n;
		} else if (g->payload_left) {
			n = n < g->payload_left ? n : g->payload_left;
			g->payload_left -= (uint32_t)n;
			data += n;
		} else {
			g->header[g->n_header++] = *data++;
			if (g->n_header == sizeof(g->header) && !frame_begins(g))
				return false;
		}
		if (!is_partial(g))
			g->ticks = 0;
	}
	return true;
}

bool grpc_guard_in_preface(const struct grpc_guard *g)
{
	return g->preface_left;
}

bool grpc_guard_tick(struct grpc_guard *g)
{
	g->tokens += GRPC_GUARD_REFILL;
	if (g->tokens > GRPC_GUARD_BURST)
		g->tokens = GRPC_GUARD_BURST;
	if (!is_partial(g))
		return true;
	return ++g->ticks < (g->preface_left ? GRPC_GUARD_PREFACE_TICKS : GRPC_GUARD_FRAME_TICKS);
}

void grpc_guard_reset(struct grpc_guard *g)
{
	g->tokens = GRPC_GUARD_BURST;
}
