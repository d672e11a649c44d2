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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_seconds_to_days),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(in_the_largest_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
