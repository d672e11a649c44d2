/* server/allowance_period.h: months of traffic, and how much of an allowance is used. */
#include "server/allowance_period.h"

#include "tests/unit/unit.h"

#include <string.h>

static int64_t at(const char *time)
{
	int64_t usec = 0;

	assert_int_equal(clock_parse(time, &usec), 0);
	return usec;
}

static void assert_time(int64_t usec, const char *time)
{
	char text[CLOCK_TEXT_MAX];

	if (usec != at(time))
		fail_msg("%s is not %s", clock_format(usec, text), time);
}

static void a_reset_is_the_next_midnight_of_its_day(void **state)
{
	static const struct {
		const char *now;
		uint32_t day;
		const char *reset;
	} cases[] = {
		{"2026-11-29T16:00:00Z", 1, "2026-12-01T00:00:00Z"},
		{"2026-12-01T00:00:00Z", 1, "2027-01-01T00:00:00Z"},
		{"2026-11-30T23:59:59.999999Z", 1, "2026-12-01T00:00:00Z"},
		{"2026-12-15T12:00:00Z", 20, "2026-12-20T00:00:00Z"},
		{"2026-12-25T12:00:00Z", 20, "2027-01-20T00:00:00Z"},
		/* Of a month without the day: the last there is. */
		{"2026-01-31T00:00:00Z", 31, "2026-02-28T00:00:00Z"},
		{"2028-02-01T00:00:00Z", 30, "2028-02-29T00:00:00Z"},
		{"2026-02-28T00:00:00Z", 31, "2026-03-31T00:00:00Z"},
		{"2026-04-01T00:00:00Z", 31, "2026-04-30T00:00:00Z"},
		{"2100-02-01T00:00:00Z", 29, "2100-02-28T00:00:00Z"},
		{"1970-01-01T00:00:00Z", 1, "1970-02-01T00:00:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_time(allowance_next_reset(at(cases[i].now), cases[i].day), cases[i].reset);
}

static struct tenant make(uint32_t day, uint64_t in, uint64_t out)
{
	struct tenant t = {.traffic_reset_day = day};

	limits_init(&t.limits);
	t.totals.net.outside_in.bytes = in;
	t.totals.net.outside_out.bytes = out;
	return t;
}

static void periods_follow_each_other_and_count_from_zero(void **state)
{
	struct tenant t = make(10, 1000, 500);
	struct allowance_period ended;

	(void)state;
	assert_int_equal(allowance_used(&t).in, 0);
	assert_true(allowance_turn(&t, at("2026-03-20T08:00:00Z"), &ended));
	assert_int_equal(ended.start_wall_usec, 0);
	assert_time(t.allowance.now.start_wall_usec, "2026-03-20T08:00:00Z");
	assert_time(t.allowance.now.end_wall_usec, "2026-04-10T00:00:00Z");
	t.totals.net.outside_in.bytes += 70;
	t.totals.net.outside_out.bytes += 30;
	assert_false(allowance_turn(&t, at("2026-04-09T23:59:59Z"), &ended));
	assert_int_equal(allowance_used(&t).in, 70);
	assert_int_equal(allowance_used(&t).out, 30);
	t.allowance.now.slowed_rate = 9000;
	t.allowance.now.told = 100;
	assert_true(allowance_turn(&t, at("2026-04-10T00:00:02Z"), &ended));
	assert_time(ended.start_wall_usec, "2026-03-20T08:00:00Z");
	assert_int_equal(ended.in_base, 1000);
	assert_time(t.allowance.now.start_wall_usec, "2026-04-10T00:00:00Z");
	assert_time(t.allowance.now.end_wall_usec, "2026-05-10T00:00:00Z");
	assert_int_equal(allowance_used(&t).in, 0);
	assert_int_equal(allowance_used(&t).out, 0);
	/* Nothing was told of it, but its network is as it was until somebody changes that. */
	assert_int_equal(t.allowance.now.told, 0);
	assert_int_equal(t.allowance.now.slowed_rate, 9000);
}

/* Nobody was there when several ended: what was used meanwhile is of the present one's past. */
static void a_period_may_end_unseen(void **state)
{
	struct tenant t = make(31, 0, 0);
	struct allowance_period ended;

	(void)state;
	allowance_turn(&t, at("2026-01-05T00:00:00Z"), &ended);
	assert_true(allowance_turn(&t, at("2026-07-15T00:00:00Z"), &ended));
	assert_time(ended.start_wall_usec, "2026-01-05T00:00:00Z");
	assert_time(t.allowance.now.start_wall_usec, "2026-06-30T00:00:00Z");
	assert_time(t.allowance.now.end_wall_usec, "2026-07-31T00:00:00Z");
	assert_true(allowance_turn(&t, at("2027-01-02T00:00:00Z"), &ended));
	assert_time(t.allowance.now.start_wall_usec, "2026-12-31T00:00:00Z");
}

static void a_clock_set_back_takes_the_turn_back(void **state)
{
	struct tenant t = make(1, 0, 0);
	struct allowance_period ended;

	(void)state;
	allowance_turn(&t, at("2026-06-15T00:00:00Z"), &ended);
	t.totals.net.outside_out.bytes = 800;
	t.allowance.now.told = 80;
	t.allowance.now.slowed_rate = 9000;
	assert_true(allowance_turn(&t, at("2026-07-01T12:00:00Z"), &ended));
	t.totals.net.outside_out.bytes += 7;
	/* The supervisor holds it to nothing now, whatever the period was that comes back. */
	t.allowance.now.slowed_rate = 0;
	assert_int_equal(allowance_used(&t).out, 7);
	assert_true(allowance_turn(&t, at("2026-06-30T12:00:00Z"), &ended));
	assert_int_equal(ended.start_wall_usec, 0);
	assert_time(t.allowance.now.start_wall_usec, "2026-06-15T00:00:00Z");
	assert_int_equal(allowance_used(&t).out, 807);
	assert_int_equal(t.allowance.now.told, 80);
	assert_int_equal(t.allowance.now.slowed_rate, 0);
	/* Further back than anything that is known: the period goes on. */
	assert_false(
		allowance_turn(&t, at("2025-06-30T12:00:00Z"), &ended) && ended.start_wall_usec);
	assert_int_equal(allowance_used(&t).out, 807);
}

static void another_day_moves_the_end(void **state)
{
	struct tenant t = make(1, 0, 0);
	struct allowance_period ended;

	(void)state;
	allowance_turn(&t, at("2026-06-10T00:00:00Z"), &ended);
	t.totals.net.outside_in.bytes = 5;
	t.traffic_reset_day = 20;
	assert_true(allowance_turn(&t, at("2026-06-12T00:00:00Z"), &ended));
	assert_int_equal(ended.start_wall_usec, 0);
	assert_time(t.allowance.now.start_wall_usec, "2026-06-10T00:00:00Z");
	assert_time(t.allowance.now.end_wall_usec, "2026-06-20T00:00:00Z");
	t.traffic_reset_day = 11;
	assert_true(allowance_turn(&t, at("2026-06-12T00:00:00Z"), &ended));
	assert_time(t.allowance.now.end_wall_usec, "2026-07-11T00:00:00Z");
	assert_int_equal(allowance_used(&t).in, 5);
	assert_false(allowance_turn(&t, at("2026-06-12T00:00:01Z"), &ended));
}

static void percent_is_of_what_is_used_up_more(void **state)
{
	struct tenant t = make(1, 0, 0);
	struct allowance_period ended;
	enum limit_id limit;

	(void)state;
	allowance_turn(&t, at("2026-06-10T00:00:00Z"), &ended);
	t.totals.net.outside_in.bytes = 700;
	t.totals.net.outside_out.bytes = 99;
	assert_int_equal(allowance_percent(&t, NULL), 0);
	t.limits.value[LIMIT_TRAFFIC] = 1000;
	assert_int_equal(allowance_percent(&t, &limit), 79);
	assert_int_equal(limit, LIMIT_TRAFFIC);
	t.limits.value[LIMIT_TRAFFIC_OUT] = 100;
	assert_int_equal(allowance_percent(&t, &limit), 99);
	assert_int_equal(limit, LIMIT_TRAFFIC_OUT);
	assert_int_equal(allowance_rate(&t), LIMIT_UNSET);
	t.limits.value[LIMIT_TRAFFIC_RATE] = 8192;
	assert_int_equal(allowance_rate(&t), LIMIT_UNSET);
	t.totals.net.outside_out.bytes = 100;
	assert_int_equal(allowance_rate(&t), 8192);
	t.limits.value[LIMIT_TRAFFIC_RATE] = LIMIT_UNSET;
	assert_int_equal(allowance_rate(&t), LIMIT_UNSET);
	/* No figure overflows. */
	t.totals.net.outside_in.bytes = t.totals.net.outside_out.bytes = UINT64_MAX - 1;
	t.limits.value[LIMIT_TRAFFIC] = UINT64_MAX - 1;
	t.limits.value[LIMIT_TRAFFIC_OUT] = LIMIT_UNSET;
	assert_int_equal(allowance_percent(&t, NULL), 200);
	t.limits.value[LIMIT_TRAFFIC] = 1;
	assert_int_equal(allowance_percent(&t, NULL), UINT32_MAX);
}

static void levels_are_told(void **state)
{
	(void)state;
	assert_int_equal(allowance_level(79), 0);
	assert_int_equal(allowance_level(80), 80);
	assert_int_equal(allowance_level(89), 80);
	assert_int_equal(allowance_level(90), 90);
	assert_int_equal(allowance_level(99), 90);
	assert_int_equal(allowance_level(100), 100);
	assert_int_equal(allowance_level(5000), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_is_the_next_midnight_of_its_day),
		cmocka_unit_test(periods_follow_each_other_and_count_from_zero),
		cmocka_unit_test(a_period_may_end_unseen),
		cmocka_unit_test(a_clock_set_back_takes_the_turn_back),
		cmocka_unit_test(another_day_moves_the_end),
		cmocka_unit_test(percent_is_of_what_is_used_up_more),
		cmocka_unit_test(levels_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
