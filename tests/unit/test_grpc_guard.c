/* server/grpc_guard.h: floods and frames that never end, told by frame headers alone. */
#include "server/grpc_guard.h"

#include "tests/unit/unit.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

static size_t put_frame(uint8_t *out, uint8_t type, uint8_t flags, uint32_t length)
{
	memset(out, 0, 9 + length);
	out[0] = (uint8_t)(length >> 16);
	out[1] = (uint8_t)(length >> 8);
	out[2] = (uint8_t)length;
	out[3] = type;
	out[4] = flags;
	return 9 + length;
}

static void init_after_preface(struct grpc_guard *g)
{
	grpc_guard_init(g);
	assert_true(grpc_guard_in_preface(g));
	assert_true(grpc_guard_feed(
		g, (const uint8_t *)NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN));
	assert_false(grpc_guard_in_preface(g));
}

static bool feed_frames(struct grpc_guard *g, uint8_t type, uint8_t flags, uint32_t length, int n)
{
	uint8_t frame[64];
	size_t size = put_frame(frame, type, flags, length);

	while (n-- > 0) {
		if (!grpc_guard_feed(g, frame, size))
			return false;
	}
	return true;
}

static void cheap_frames_run_out(void **state)
{
	static const struct {
		uint8_t type, flags;
		uint32_t length;
		bool cheap;
	} frames[] = {
		{NGHTTP2_PING, 0, 8, true},
		{NGHTTP2_SETTINGS, 0, 0, true},
		{NGHTTP2_PRIORITY, 0, 5, true},
		{NGHTTP2_CONTINUATION, 0, 1, true},
		{NGHTTP2_DATA, 0, 0, true},
		{0xbe, 0, 3, true}, /* unknown: ignored by every server */
		{NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, false},
		{NGHTTP2_DATA, 0, 1, false},
		{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, false},
		{NGHTTP2_WINDOW_UPDATE, 0, 4, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		struct grpc_guard g;

		init_after_preface(&g);
		assert_true(feed_frames(
			&g, frames[i].type, frames[i].flags, frames[i].length, GRPC_GUARD_BURST));
		assert_int_equal(
			feed_frames(&g, frames[i].type, frames[i].flags, frames[i].length, 1),
			!frames[i].cheap);
	}
}

static void tokens_come_back(void **state)
{
	struct grpc_guard g;

	(void)state;
	init_after_preface(&g);
	assert_true(feed_frames(&g, NGHTTP2_PING, 0, 8, GRPC_GUARD_BURST));
	assert_true(grpc_guard_tick(&g));
	assert_true(feed_frames(&g, NGHTTP2_PING, 0, 8, GRPC_GUARD_REFILL));
	grpc_guard_reset(&g);
	assert_true(feed_frames(&g, NGHTTP2_PING, 0, 8, GRPC_GUARD_BURST));
	assert_false(feed_frames(&g, NGHTTP2_PING, 0, 8, 1));
}

/* The same frames count the same however they are cut. */
static void cutting_changes_nothing(void **state)
{
	uint8_t bytes[64];
	size_t size = put_frame(bytes, NGHTTP2_PING, 0, 8);

	(void)state;
	size += put_frame(bytes + size, NGHTTP2_HEADERS, 0, 3);
	size += put_frame(bytes + size, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 2);
	for (size_t cut = 0; cut <= size; cut++) {
		struct grpc_guard g;

		init_after_preface(&g);
		assert_true(grpc_guard_feed(&g, bytes, cut));
		assert_true(grpc_guard_feed(&g, bytes + cut, size - cut));
		assert_int_equal(g.tokens, GRPC_GUARD_BURST - 2);
		assert_int_equal(g.n_header, 0);
		assert_int_equal(g.payload_left, 0);
		assert_false(g.in_headers);
	}
}

static unsigned ticks_until_gone(struct grpc_guard *g)
{
	unsigned n = 1;

	while (n < 1000 && grpc_guard_tick(g))
		n++;
	return n;
}

static void slow_peers_are_timed(void **state)
{
	uint8_t frame[64];
	struct grpc_guard g;

	(void)state;
	grpc_guard_init(&g);
	assert_int_equal(ticks_until_gone(&g), GRPC_GUARD_PREFACE_TICKS);

	init_after_preface(&g); /* nothing begun: may idle */
	assert_int_equal(ticks_until_gone(&g), 1000);

	init_after_preface(&g); /* half a frame header */
	put_frame(frame, NGHTTP2_DATA, 0, 20);
	grpc_guard_feed(&g, frame, 4);
	assert_int_equal(ticks_until_gone(&g), GRPC_GUARD_FRAME_TICKS);

	init_after_preface(&g); /* a block of headers without its end */
	grpc_guard_feed(&g, frame, put_frame(frame, NGHTTP2_HEADERS, 0, 5));
	assert_int_equal(ticks_until_gone(&g), GRPC_GUARD_FRAME_TICKS);
}

static void a_long_upload_is_not_slow(void **state)
{
	uint8_t frame[64];
	size_t size = put_frame(frame, NGHTTP2_DATA, 0, 20);
	struct grpc_guard g;

	(void)state;
	init_after_preface(&g);
	/* Each second ends within a frame, but never within the same. */
	grpc_guard_feed(&g, frame, 15);
	for (int second = 0; second < 100; second++) {
		assert_true(grpc_guard_tick(&g));
		grpc_guard_feed(&g, frame + 15, size - 15);
		grpc_guard_feed(&g, frame, 15);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cheap_frames_run_out),
		cmocka_unit_test(tokens_come_back),
		cmocka_unit_test(cutting_changes_nothing),
		cmocka_unit_test(slow_peers_are_timed),
		cmocka_unit_test(a_long_upload_is_not_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
