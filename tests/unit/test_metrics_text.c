/* server/metrics_text.h, histogram.h: what a scraper reads, to the byte. */
#include "server/metrics_text.h"

#include "tests/unit/unit.h"

#include <string.h>

static void expect(struct metrics_text *text, const char *wanted)
{
	assert_false(text->failed);
	assert_int_equal(text->size, strlen(wanted));
	assert_memory_equal(text->data, wanted, text->size);
	metrics_text_finish(text);
}

static void labels_are_escaped(void **state)
{
	struct metrics_text text = {0};

	(void)state;
	metrics_text_label(&text, true, "a", "x\"y\\z\nend");
	metrics_text_label(&text, false, "b", "");
	metrics_text_label(&text, false, "c", "}{ =,");
	expect(&text, "a=\"x\\\"y\\\\z\\nend\",b=\"\",c=\"}{ =,\"");
}

static void help_keeps_its_quotes(void **state)
{
	struct metrics_text text = {0};

	(void)state;
	metrics_text_family(&text, "croft_x", "gauge", "a \"b\" \\ c\nd");
	expect(&text, "# HELP croft_x a \"b\" \\\\ c\\nd\n# TYPE croft_x gauge\n");
}

static void openmetrics_differs_in_heads_bounds_and_end(void **state)
{
	struct metrics_text text = {.open = true};

	(void)state;
	metrics_text_family(&text, "croft_x_total", "counter", "a \"b\"");
	metrics_text_sample(&text, "croft_x_total", "", 1, METRICS_WHOLE);
	metrics_text_family(&text, "croft_y", "gauge", "y");
	metrics_text_labelled(&text, "croft_y", "a=\"b\"", "c=\"d\"", 2, METRICS_WHOLE);
	metrics_text_end(&text);
	expect(&text, "# HELP croft_x a \\\"b\\\"\n# TYPE croft_x counter\ncroft_x_total 1\n"
		      "# HELP croft_y y\n# TYPE croft_y gauge\ncroft_y{a=\"b\",c=\"d\"} 2\n"
		      "# EOF\n");
	metrics_text_end(&text);
	expect(&text, "");
}

static void figures_are_exact(void **state)
{
	static const struct {
		uint64_t value;
		enum metrics_scale scale;
		const char *wanted;
	} rows[] = {
		{0, METRICS_WHOLE, "0"},
		{0, METRICS_USEC, "0.000000"},
		{1, METRICS_USEC, "0.000001"},
		{1000000, METRICS_USEC, "1.000000"},
		{UINT64_MAX, METRICS_WHOLE, "18446744073709551615"},
		{UINT64_MAX, METRICS_USEC, "18446744073709.551615"},
		{9007199254740993, METRICS_USEC, "9007199254.740993"},
		{500, METRICS_MILLI, "0.500"},
		{10000, METRICS_MYRIAD, "1.0000"},
		{514, METRICS_MYRIAD, "0.0514"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct metrics_text text = {0};

		metrics_text_number(&text, rows[i].value, rows[i].scale);
		expect(&text, rows[i].wanted);
	}
}

static void samples_have_labels_or_none(void **state)
{
	struct metrics_text text = {0};

	(void)state;
	metrics_text_sample(&text, "croft_a", "", 7, METRICS_WHOLE);
	metrics_text_sample(&text, "croft_a", "b=\"c\"", 8, METRICS_WHOLE);
	expect(&text, "croft_a 7\ncroft_a{b=\"c\"} 8\n");
}

/* The value of a sample that begins so; UINT64_MAX when there is none. */
static uint64_t find(const struct metrics_text *text, const char *start)
{
	char copy[8192];
	const char *at;

	assert_true(text->size < sizeof(copy));
	memcpy(copy, text->data, text->size);
	copy[text->size] = '\0';
	at = strstr(copy, start);
	return at ? strtoull(at + strlen(start), NULL, 10) : UINT64_MAX;
}

static void buckets_add_up(void **state)
{
	struct metrics_text text = {0};
	struct histogram histogram = {0};

	(void)state;
	histogram_add(&histogram, 0);
	histogram_add(&histogram, 100);	       /* a bound is within it */
	histogram_add(&histogram, 101);	       /* and what is above is not */
	histogram_add(&histogram, 2500);       /* 0.0025 */
	histogram_add(&histogram, 3600000000); /* beyond the last */
	assert_int_equal(histogram_count(&histogram), 5);
	metrics_text_histogram(&text, "croft_h", "m=\"x\"", &histogram);
	assert_int_equal(find(&text, "croft_h_bucket{m=\"x\",le=\"0.0001\"} "), 2);
	assert_int_equal(find(&text, "croft_h_bucket{m=\"x\",le=\"0.00025\"} "), 3);
	assert_int_equal(find(&text, "croft_h_bucket{m=\"x\",le=\"0.0025\"} "), 4);
	assert_int_equal(find(&text, "croft_h_bucket{m=\"x\",le=\"1\"} "), 4);
	assert_int_equal(find(&text, "croft_h_bucket{m=\"x\",le=\"10\"} "), 4);
	text.open = true;
	metrics_text_histogram(&text, "croft_o", "", &histogram);
	assert_int_equal(find(&text, "croft_o_bucket{le=\"1.0\"} "), 4);
	assert_int_equal(find(&text, "croft_o_bucket{le=\"10.0\"} "), 4);
	assert_int_equal(find(&text, "croft_o_bucket{le=\"0.0025\"} "), 4);
	assert_int_equal(find(&text, "croft_h_bucket{m=\"x\",le=\"+Inf\"} "), 5);
	assert_int_equal(find(&text, "croft_h_count{m=\"x\"} "), 5);
	assert_int_equal(find(&text, "croft_h_sum{m=\"x\"} "), 3600);
	metrics_text_finish(&text);
}

static void a_text_grows(void **state)
{
	struct metrics_text text = {0};

	(void)state;
	for (int i = 0; i < 100000; i++)
		metrics_text_add(&text, "0123456789");
	assert_false(text.failed);
	assert_int_equal(text.size, 1000000);
	assert_memory_equal(text.data + 999990, "0123456789", 10);
	metrics_text_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(help_keeps_its_quotes),
		cmocka_unit_test(openmetrics_differs_in_heads_bounds_and_end),
		cmocka_unit_test(figures_are_exact),
		cmocka_unit_test(samples_have_labels_or_none),
		cmocka_unit_test(buckets_add_up),
		cmocka_unit_test(a_text_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
