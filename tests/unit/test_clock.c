/*
 * base/clock.h: RFC 3339 both ways, days that do not exist, clocks that only go forward.
 * The library has no setup of its own, so neither have these tests.
 */
#include "base/clock.h"

#include "tests/unit/unit.h"

#include <string.h>

static void formats_the_epoch(void **state)
{
	char out[CLOCK_TEXT_MAX];

	(void)state;
	assert_string_equal(clock_format(0, out), "1970-01-01T00:00:00.000000Z");
}

static void formats_microseconds(void **state)
{
	char out[CLOCK_TEXT_MAX];

	(void)state;
	assert_string_equal(
		clock_format(INT64_C(1767323045678901), out), "2026-01-02T03:04:05.678901Z");
}

static void formats_times_before_the_epoch(void **state)
{
	char out[CLOCK_TEXT_MAX];

	(void)state;
	assert_string_equal(clock_format(-1, out), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(clock_format(-1000000, out), "1969-12-31T23:59:59.000000Z");
}

static void parses_what_it_formats(void **state)
{
	static const int64_t times[] = {0, 1, -1, 951782400000000, 1767323045678901};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char out[CLOCK_TEXT_MAX];
		int64_t back = 42;

		assert_int_equal(clock_parse(clock_format(times[i], out), &back), 0);
		assert_int_equal(back, times[i]);
	}
}

static void parses_offsets_and_fractions(void **state)
{
	static const struct {
		const char *text;
		int64_t usec;
	} rows[] = {
		{"2026-01-02T03:04:05Z", INT64_C(1767323045000000)},
		{"2026-01-02t03:04:05z", INT64_C(1767323045000000)},
		{"2026-01-02 03:04:05Z", INT64_C(1767323045000000)},
		{"2026-01-02T03:04:05+00:00", INT64_C(1767323045000000)},
		{"2026-01-02T05:04:05+02:00", INT64_C(1767323045000000)},
		{"2026-01-01T21:34:05-05:30", INT64_C(1767323045000000)},
		{"2026-01-02T03:04:05.5Z", INT64_C(1767323045500000)},
		{"2026-01-02T03:04:05.123456789Z", INT64_C(1767323045123456)},
		{"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
		{"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t usec = -1;

		if (clock_parse(rows[i].text, &usec) < 0)
			fail_msg("%s was refused", rows[i].text);
		assert_int_equal(usec, rows[i].usec);
	}
}

static void refuses_what_is_no_time(void **state)
{
	static const char *const rows[] = {
		"",
		"now",
		"2026-01-02",
		"2026-01-02T03:04Z",
		"2026-01-02T03:04:05",
		"2026-01-02T03:04:05 Z",
		"2026-01-02T03:04:05Zx",
		"2026-01-02T03:04:05+2:00",
		"2026-01-02T03:04:05+24:00",
		"2026-01-02T03:04:05+01:60",
		"2026-01-02T03:04:05+-1:00",
		"2026-01-02T03:04:05+ 1:00",
		"2026-01-02T25:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-1-2T3:4:5Z",
		"2026-01-02T03:04:61Z",
		" 2026-01-02T03:04:05Z",
		"2026-02-30T00:00:00Z",
		"2025-02-29T00:00:00Z",
		"2026-01-02X03:04:05Z",
		"2026-01-02T03:04:05.Z",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t usec = 7;

		if (clock_parse(rows[i], &usec) == 0)
			fail_msg("\"%s\" was accepted", rows[i]);
		assert_int_equal(usec, 7);
	}
}

static void boot_id_is_a_uuid(void **state)
{
	char first[BOOT_ID_LEN];
	char second[BOOT_ID_LEN];

	(void)state;
	assert_int_equal(clock_boot_id(first), 0);
	assert_int_equal(clock_boot_id(second), 0);
	assert_string_equal(first, second);
	assert_int_equal(strlen(first), 36);
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? first[i] != '-' : !strchr("0123456789abcdef", first[i]))
			fail_msg("%s is not a UUID", first);
	}
}

static void boot_clock_never_goes_back(void **state)
{
	uint64_t last = clock_boot_usec();

	(void)state;
	assert_true(last > 0);
	for (int i = 0; i < 10000; i++) {
		uint64_t now = clock_boot_usec();

		assert_true(now >= last);
		last = now;
	}
}

static void wall_clock_is_in_this_century(void **state)
{
	char out[CLOCK_TEXT_MAX];

	(void)state;
	clock_format(clock_wall_usec(), out);
	assert_memory_equal(out, "20", 2);
}

/* Looks a minute apart; the wall clock is off by so much at the last. */
static bool look(struct clock_looks *looks, uint64_t *boot_usec, int64_t off_usec)
{
	*boot_usec += UINT64_C(60) * 1000000;
	return clock_is_even(looks, *boot_usec, (int64_t)*boot_usec + off_usec);
}

static void a_clock_that_was_just_set_is_not_even(void **state)
{
	const int64_t day = INT64_C(86400) * 1000000;
	struct clock_looks looks = {0};
	uint64_t boot = 1000000;

	(void)state;
	/* A start, a day ahead, and a day back, at any point of it. */
	for (unsigned before = 0; before < 2 * CLOCK_EVEN_LOOKS; before++) {
		assert_false(look(&looks, &boot, 20000 * day));
		for (unsigned i = 0; i < before; i++)
			assert_int_equal(look(&looks, &boot, 20000 * day + i * INT64_C(30000)),
				i + 1 >= CLOCK_EVEN_LOOKS);
		assert_false(look(&looks, &boot, 20001 * day));
		for (unsigned i = 1; i < CLOCK_EVEN_LOOKS; i++)
			assert_false(look(&looks, &boot, 20001 * day));
		assert_true(look(&looks, &boot, 20001 * day));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_the_epoch),
		cmocka_unit_test(formats_microseconds),
		cmocka_unit_test(formats_times_before_the_epoch),
		cmocka_unit_test(parses_what_it_formats),
		cmocka_unit_test(parses_offsets_and_fractions),
		cmocka_unit_test(refuses_what_is_no_time),
		cmocka_unit_test(boot_id_is_a_uuid),
		cmocka_unit_test(boot_clock_never_goes_back),
		cmocka_unit_test(a_clock_that_was_just_set_is_not_even),
		cmocka_unit_test(wall_clock_is_in_this_century),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
