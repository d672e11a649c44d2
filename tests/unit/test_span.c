/* base/span.h: what is a span of time, and how one is written. */
#include "base/span.h"

#include "tests/unit/unit.h"

#include <errno.h>

#define YEAR (INT64_C(366) * 86400)

static void units_are_seconds_to_days(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {{"0s", 0}, {"1s", 1}, {"90s", 90}, {"30m", 1800}, {"12h", 43200},
		{"7d", 604800}, {"366d", YEAR}, {"0000000001m", 60}};
	int64_t seconds;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(span_parse(rows[i].text, YEAR, &seconds), 0);
		assert_int_equal(seconds, rows[i].seconds);
	}
}

static void what_is_none(void **state)
{
	static const char *const rows[] = {"", "s", "1", "1 s", " 1s", "+1s", "-1s", "1.5h", "1w",
		"1sd", "1S", "367d", "9999999999d", "99999999999s"};
	int64_t seconds = 5;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(span_parse(rows[i], YEAR, &seconds), -EINVAL);
	assert_int_equal(seconds, 5);
	assert_int_equal(span_parse("9999999999d", INT64_MAX, &seconds), 0);
	assert_int_equal(seconds, INT64_C(9999999999) * 86400);
}

static void in_the_largest_unit(void **state)
{
	char out[SPAN_TEXT_SIZE];

	(void)state;
	assert_string_equal(span_write(0, out), "0s");
	assert_string_equal(span_write(59, out), "59s");
	assert_string_equal(span_write(60, out), "1m");
	assert_string_equal(span_write(90, out), "90s");
	assert_string_equal(span_write(86400, out), "1d");
	assert_string_equal(span_write(90000, out), "25h");
	assert_string_equal(span_write(INT64_MAX, out), "9223372036854775807s");
}

static void schedules_are_told_in_them(void **state)
{
	static const struct {
		int64_t every_s;
		uint32_t keep;
		int64_t expire_s;
		const char *text;
	} rows[] = {
		{0, 7, 86400, ""},
		{86400, 7, 0, "every 1d, 7 kept"},
		{5400, 100, 30 * 86400, "every 90m, 100 kept for 30d"},
		{43200, 1, 61, "every 12h, 1 kept for 61s"},
		{INT64_MAX, UINT32_MAX, INT64_MAX,
			"every 9223372036854775807s, 4294967295 kept for 9223372036854775807s"},
	};
	char out[SPAN_SCHEDULE_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(
			span_write_schedule(rows[i].every_s, rows[i].keep, rows[i].expire_s, out),
			rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_seconds_to_days),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(in_the_largest_unit),
		cmocka_unit_test(schedules_are_told_in_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
