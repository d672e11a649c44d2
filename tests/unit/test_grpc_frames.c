/* server/grpc_frames.h: messages come out whole and in order, however their bytes arrive. */
#include "server/grpc_frames.h"

#include "server/grpc.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

/* Three messages: 3 bytes, none, 300 bytes. */
#define STREAM_SIZE (3 * GRPC_PREFIX_SIZE + 3 + 0 + 300)

static void make_stream(uint8_t out[static STREAM_SIZE])
{
	grpc_frames_put_prefix(out, 3);
	memcpy(out + 5, "abc", 3);
	grpc_frames_put_prefix(out + 8, 0);
	grpc_frames_put_prefix(out + 13, 300);
	for (int i = 0; i < 300; i++)
		out[18 + i] = (uint8_t)i;
}

/* Feeds one piece; checks what comes out against the stream's messages, from *n on. */
static void feed(struct grpc_deframer *d, const uint8_t *data, size_t size, unsigned *n)
{
	static const size_t sizes[] = {3, 0, 300};
	const uint8_t *message;
	size_t message_size;
	struct err err;
	int r;

	while ((r = grpc_deframer_next(d, &data, &size, &message, &message_size, &err)) == 1) {
		assert_true(*n < ARRAY_SIZE(sizes));
		assert_int_equal(message_size, sizes[*n]);
		if (*n == 0)
			assert_memory_equal(message, "abc", 3);
		for (size_t i = 0; *n == 2 && i < message_size; i++)
			assert_int_equal(message[i], (uint8_t)i);
		++*n;
	}
	assert_int_equal(r, 0);
	assert_int_equal(size, 0);
}

static void splits_anywhere(void **state)
{
	uint8_t stream[STREAM_SIZE];

	(void)state;
	make_stream(stream);
	for (size_t a = 0; a <= sizeof(stream); a++) {
		for (size_t b = a; b <= sizeof(stream); b += 7) {
			struct grpc_deframer d = {0};
			unsigned n = 0;

			feed(&d, stream, a, &n);
			feed(&d, stream + a, b - a, &n);
			feed(&d, stream + b, sizeof(stream) - b, &n);
			assert_int_equal(n, 3);
			assert_true(grpc_deframer_is_between(&d));
			grpc_deframer_finish(&d);
		}
	}
}

static void byte_by_byte(void **state)
{
	uint8_t stream[STREAM_SIZE];
	struct grpc_deframer d = {0};
	unsigned n = 0;

	(void)state;
	make_stream(stream);
	for (size_t i = 0; i < sizeof(stream); i++) {
		feed(&d, stream + i, 1, &n);
		/* Ends of messages: after 8, 13 and all bytes. */
		assert_int_equal(grpc_deframer_is_between(&d),
			i + 1 == 8 || i + 1 == 13 || i + 1 == sizeof(stream));
	}
	assert_int_equal(n, 3);
	grpc_deframer_finish(&d);
}

static int feed_prefix(
	const uint8_t prefix[static GRPC_PREFIX_SIZE], struct err *err, size_t *ret_held)
{
	const uint8_t *data = prefix, *message;
	struct grpc_deframer d = {0};
	size_t size = GRPC_PREFIX_SIZE, message_size;
	int r = grpc_deframer_next(&d, &data, &size, &message, &message_size, err);

	*ret_held = d.body.capacity;
	grpc_deframer_finish(&d);
	return r;
}

static void announced_bytes_cost_nothing(void **state)
{
	uint8_t prefix[GRPC_PREFIX_SIZE];
	struct err err;
	size_t held;

	(void)state;
	grpc_frames_put_prefix(prefix, GRPC_MESSAGE_MAX);
	assert_int_equal(feed_prefix(prefix, &err, &held), 0);
	assert_true(held < 4096);
	grpc_frames_put_prefix(prefix, GRPC_MESSAGE_MAX + 1);
	assert_true(feed_prefix(prefix, &err, &held) < 0);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	grpc_frames_put_prefix(prefix, UINT32_MAX);
	assert_true(feed_prefix(prefix, &err, &held) < 0);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
}

static void flags_are_refused(void **state)
{
	uint8_t prefix[GRPC_PREFIX_SIZE];
	struct err err;
	size_t held;

	(void)state;
	for (unsigned flag = 1; flag < 256; flag++) {
		grpc_frames_put_prefix(prefix, 0);
		prefix[0] = (uint8_t)flag;
		assert_true(feed_prefix(prefix, &err, &held) < 0);
		assert_int_equal(err.code, ERR_INTERNAL);
	}
}

static void queue_keeps_order(void **state)
{
	struct grpc_buf b = {0};
	uint32_t in = 0, out = 0;

	(void)state;
	/* More comes than goes, then the other way round: it grows, moves and wraps. */
	for (int round = 0; round < 2000; round++) {
		int puts = round < 1000 ? 3 : 1;

		for (int i = 0; i < puts; i++, in++)
			assert_int_equal(grpc_buf_append(&b, &in, sizeof(in)), 0);
		for (int i = 0; i < 4 - puts && grpc_buf_size(&b); i++, out++) {
			uint32_t value;

			memcpy(&value, b.data + b.start, sizeof(value));
			assert_int_equal(value, out);
			grpc_buf_consume(&b, sizeof(value));
		}
	}
	assert_int_equal(grpc_buf_size(&b), (in - out) * sizeof(in));
	grpc_buf_finish(&b);
}

static void large_memory_is_given_back(void **state)
{
	static uint8_t bytes[1 << 20];
	struct grpc_buf b = {0};

	(void)state;
	assert_int_equal(grpc_buf_append(&b, bytes, sizeof(bytes)), 0);
	grpc_buf_consume(&b, sizeof(bytes));
	assert_null(b.data);
	grpc_buf_finish(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_anywhere),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(announced_bytes_cost_nothing),
		cmocka_unit_test(flags_are_refused),
		cmocka_unit_test(queue_keeps_order),
		cmocka_unit_test(large_memory_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
