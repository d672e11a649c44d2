/* base/wire.h: what is written is read back, and no input makes the reader pass its end. */
#include "base/wire.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void reads_back_what_was_written(void **state)
{
	struct wire_writer w;
	struct wire_reader r;

	(void)state;
	wire_writer_init(&w, 1 << 20);
	wire_put_u32(&w, 0xdeadbeef);
	wire_put_str(&w, "");
	wire_put_u64(&w, UINT64_MAX);
	wire_put_str(&w, "acme/web");
	assert_int_equal(w.error, 0);
	wire_reader_init(&r, w.data, w.size);
	assert_int_equal(wire_get_u32(&r), 0xdeadbeef);
	assert_string_equal(wire_get_str(&r, 0), "");
	assert_true(wire_get_u64(&r) == UINT64_MAX);
	assert_string_equal(wire_get_str(&r, 8), "acme/web");
	assert_int_equal(wire_reader_end(&r), 0);
	wire_writer_finish(&w);
}

static void numbers_are_little_endian(void **state)
{
	static const uint8_t expected[] = {4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1};
	struct wire_writer w;

	(void)state;
	wire_writer_init(&w, 64);
	wire_put_u32(&w, 0x01020304);
	wire_put_u64(&w, UINT64_C(0x0102030405060708));
	assert_int_equal(w.size, sizeof(expected));
	assert_memory_equal(w.data, expected, sizeof(expected));
	wire_writer_finish(&w);
}

static void a_short_read_sticks(void **state)
{
	static const uint8_t data[] = {1, 0, 0, 0, 9, 9};
	struct wire_reader r;

	(void)state;
	wire_reader_init(&r, data, sizeof(data));
	assert_int_equal(wire_get_u32(&r), 1);
	assert_int_equal(wire_get_u32(&r), 0);
	assert_int_equal(wire_get_u64(&r), 0);
	assert_null(wire_get_str(&r, 100));
	assert_int_equal(wire_reader_end(&r), -EBADMSG);
}

static void left_over_bytes_are_refused(void **state)
{
	static const uint8_t data[] = {1, 0, 0, 0, 0};
	struct wire_reader r;

	(void)state;
	wire_reader_init(&r, data, sizeof(data));
	wire_get_u32(&r);
	assert_int_equal(wire_reader_end(&r), -EBADMSG);
}

static void nothing_reads_as_nothing(void **state)
{
	struct wire_reader r;

	(void)state;
	wire_reader_init(&r, "", 0);
	assert_int_equal(wire_reader_end(&r), 0);
}

static void hostile_strings_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		size_t max;
	} rows[] = {
		{"\xff\xff\xff\xff"
		 "a",
			5, SIZE_MAX}, /* a length that wraps with its terminator */
		{"\x02\x00\x00\x00"
		 "ab",
			6, 10}, /* no terminator */
		{"\x02\x00\x00\x00"
		 "abc",
			7, 10}, /* another byte in its place */
		{"\x02\x00\x00\x00"
		 "a\0\0",
			7, 10}, /* a NUL inside */
		{"\x03\x00\x00\x00"
		 "abc\0",
			8, 2}, /* longer than allowed */
		{"\x10\x00\x00\x00"
		 "abc\0",
			8, 100}, /* longer than the message */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wire_reader r;

		wire_reader_init(&r, rows[i].bytes, rows[i].size);
		if (wire_get_str(&r, rows[i].max))
			fail_msg("row %zu was accepted", i);
		assert_int_equal(wire_reader_end(&r), -EBADMSG);
	}
}

static void the_writer_keeps_its_bound(void **state)
{
	struct wire_writer w;

	(void)state;
	wire_writer_init(&w, 8);
	wire_put_u64(&w, 1);
	assert_int_equal(w.error, 0);
	wire_put_u32(&w, 1);
	assert_int_equal(w.error, -EMSGSIZE);
	assert_int_equal(w.size, 8);
	wire_writer_finish(&w);
}

static void the_writer_grows(void **state)
{
	char text[5000];
	struct wire_writer w;
	struct wire_reader r;

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	wire_writer_init(&w, 1 << 20);
	for (int i = 0; i < 100; i++)
		wire_put_str(&w, text);
	assert_int_equal(w.error, 0);
	wire_reader_init(&r, w.data, w.size);
	for (int i = 0; i < 100; i++)
		assert_string_equal(wire_get_str(&r, sizeof(text)), text);
	assert_int_equal(wire_reader_end(&r), 0);
	wire_writer_finish(&w);
	assert_null(w.data);
}

/* Every prefix of a good message is a bad message, and is noticed. */
static void every_cut_is_noticed(void **state)
{
	struct wire_writer w;

	(void)state;
	wire_writer_init(&w, 1 << 10);
	wire_put_str(&w, "one");
	wire_put_u64(&w, 2);
	wire_put_str(&w, "three");
	for (size_t size = 0; size < w.size; size++) {
		struct wire_reader r;

		wire_reader_init(&r, w.data, size);
		wire_get_str(&r, 10);
		wire_get_u64(&r);
		wire_get_str(&r, 10);
		assert_int_equal(wire_reader_end(&r), -EBADMSG);
	}
	wire_writer_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_was_written),
		cmocka_unit_test(numbers_are_little_endian),
		cmocka_unit_test(a_short_read_sticks),
		cmocka_unit_test(left_over_bytes_are_refused),
		cmocka_unit_test(nothing_reads_as_nothing),
		cmocka_unit_test(hostile_strings_are_refused),
		cmocka_unit_test(the_writer_keeps_its_bound),
		cmocka_unit_test(the_writer_grows),
		cmocka_unit_test(every_cut_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
