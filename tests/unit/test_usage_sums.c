/* server/usage_sums.h: which sums have a percentile, and how much is kept for it. */
#include "server/usage_sums.h"

#include "tests/unit/unit.h"

#include <string.h>

#define DAY (24 * LEDGER_HOUR_USEC)

static size_t p95(void)
{
	size_t m = 0;

	while (strcmp(ledger_meters[m].name, "net.p95") != 0)
		m++;
	return m;
}

/* An hour with CPU, and with that much traffic in each of its five minutes. */
static struct export_item item(int64_t hour, uint64_t bytes)
{
	struct export_item ret = {.final = true};
	struct ledger_entry *e = &ret.entry;

	e->window_start_usec = hour * LEDGER_HOUR_USEC;
	e->window_end_usec = e->window_start_usec + LEDGER_HOUR_USEC;
	e->figures.present = ledger_bit(0) | ledger_bit(p95());
	e->figures.quantity[0] = 5;
	for (size_t slot = 0; slot < BURST_SLOTS; slot++)
		e->figures.slots.bytes[BURST_IN][slot] = bytes;
	return ret;
}

static void add(struct usage_sums *sums, int64_t hour, uint64_t bytes, size_t *hours)
{
	struct export_item one = item(hour, bytes);
	struct err err;

	assert_int_equal(usage_sums_add(sums, &one, hours, &err), 0);
}

static void a_period_that_is_too_long_has_no_percentile(void **state)
{
	static const struct {
		int64_t from, to;
		bool ranked;
	} periods[] = {
		{DAY, DAY, true},
		{500 * DAY, 531 * DAY, true},
		{500 * DAY, 562 * DAY, true},
		{500 * DAY, 562 * DAY + 1, false},
		{500 * DAY, 865 * DAY, false},
		/* From the first record on. */
		{0, DAY, false},
		{0, 20000 * DAY, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
		struct export_cursor cursor = {
			.from_wall_usec = periods[i].from, .to_wall_usec = periods[i].to};

		assert_int_equal(usage_period_is_ranked(&cursor), periods[i].ranked);
	}
}

static void without_a_percentile_nothing_is_kept(void **state)
{
	struct export_cursor cursor = {.to_wall_usec = 500 * DAY};
	struct usage_sums sums = {.windows = 0};
	struct usage_sums_message out;

	(void)state;
	for (int64_t hour = 0; hour < 10000; hour++)
		add(&sums, hour, 300, NULL);
	assert_int_equal(sums.burst.n, 0);
	assert_int_equal(sums.windows, 10000);
	usage_sums_fill(&sums, &cursor, &out);
	assert_int_equal(out.msg.n_sums, 1);
	assert_string_equal(out.sums[0].meter, ledger_meters[0].name);
	assert_string_equal(out.sums[0].quantity, "50000");
}

static void hours_are_kept_until_they_are_ranked(void **state)
{
	struct export_cursor cursor = {.from_wall_usec = DAY, .to_wall_usec = 3 * DAY};
	struct usage_sums sums = {.windows = 0};
	struct usage_sums_message out;
	size_t hours = 7;

	(void)state;
	for (int64_t hour = 24; hour < 72; hour++)
		add(&sums, hour, 300, &hours);
	/* Those that are there, and without traffic, take nothing. */
	add(&sums, 30, 600, &hours);
	add(&sums, 72, 0, &hours);
	assert_int_equal(hours, 7 + 48);
	usage_sums_rank(&sums, &cursor, &hours);
	assert_int_equal(hours, 7);
	assert_null(sums.burst.hours);
	usage_sums_fill(&sums, &cursor, &out);
	assert_int_equal(out.msg.n_sums, 2);
	assert_string_equal(out.sums[1].meter, "net.p95");
	/* The one hour is in the 5 % that are dropped. */
	assert_string_equal(out.sums[1].quantity, "8");
	usage_sums_finish(&sums);
}

static void calls_share_what_may_be_kept(void **state)
{
	size_t of_all = 0, one = 0, other = 0;
	struct err err;

	(void)state;
	assert_int_equal(usage_hours_hold(&of_all, &one, 744000, &err), 0);
	assert_int_equal(usage_hours_hold(&of_all, &other, 1000, &err), 0);
	assert_int_equal(of_all, 745000);
	assert_true(usage_hours_hold(&of_all, &other, USAGE_HOURS_MAX - 744000 + 1, &err) < 0);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(err.reason, "TOO_MANY_HOURS");
	of_all -= other;
	/* It was the other one that was refused. */
	assert_int_equal(usage_hours_hold(&of_all, &one, 744000, &err), 0);
	assert_int_equal(usage_hours_hold(&of_all, &one, USAGE_HOURS_MAX, &err), 0);
	assert_int_equal(usage_hours_hold(&of_all, &one, 0, &err), 0);
	assert_int_equal(of_all, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_period_that_is_too_long_has_no_percentile),
		cmocka_unit_test(without_a_percentile_nothing_is_kept),
		cmocka_unit_test(hours_are_kept_until_they_are_ranked),
		cmocka_unit_test(calls_share_what_may_be_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
