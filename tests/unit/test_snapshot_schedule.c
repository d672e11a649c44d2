/* When a snapshot is due, what it is called, and how a schedule is kept. */
#include "tests/unit/unit.h"

#include "server/snapshot_schedule.h"

#include <string.h>

#define S INT64_C(1000000)

static void the_next_is_behind_now(void **state)
{
	const struct snapshot_schedule hourly = {
		.every_s = 3600, .keep = 7, .next_wall_usec = 1000000 * S};

	(void)state;
	assert_int_equal(snapshot_schedule_next(&hourly, 1000000 * S), 1003600 * S);
	assert_int_equal(snapshot_schedule_next(&hourly, 1003599 * S), 1003600 * S);
	assert_int_equal(snapshot_schedule_next(&hourly, 1003600 * S), 1007200 * S);
	/* Ten that were missed are one. */
	assert_int_equal(snapshot_schedule_next(&hourly, 1036001 * S), 1039600 * S);
	/* Early: not due. A clock that was set back: one period from now. */
	assert_int_equal(snapshot_schedule_next(&hourly, 999999 * S), 1000000 * S);
	assert_int_equal(snapshot_schedule_next(&hourly, 5 * S), 3605 * S);
}

static void due_at_its_time_or_when_the_clock_was_set_back(void **state)
{
	const struct snapshot_schedule hourly = {
		.every_s = 3600, .keep = 7, .next_wall_usec = 1000000 * S};
	const struct snapshot_schedule none = {0};

	(void)state;
	assert_true(snapshot_schedule_is_due(&hourly, 1000000 * S));
	assert_true(snapshot_schedule_is_due(&hourly, 2000000 * S));
	assert_false(snapshot_schedule_is_due(&hourly, 999999 * S));
	/* A little earlier than when it was noted is no clock that was set back. */
	assert_false(snapshot_schedule_is_due(&hourly, 996340 * S));
	/* It would have waited for years. */
	assert_true(snapshot_schedule_is_due(&hourly, 996339 * S));
	assert_true(snapshot_schedule_is_due(&hourly, 5 * S));
	assert_false(snapshot_schedule_is_due(&none, 5 * S));
}

static void names_tell_the_time(void **state)
{
	char name[NAME_SIZE];

	(void)state;
	snapshot_schedule_name(1795406425 * S, false, name);
	assert_string_equal(name, "auto-20261123-0400");
	snapshot_schedule_name(1795406425 * S, true, name);
	assert_string_equal(name, "auto-20261123-0400-25");
	assert_true(name_is_valid(name));
}

static void kept_as_text(void **state)
{
	static const char *const wrong[] = {"1", "9 7 0 0", "60 0 0 0", "60 7 -1 0", "60 101 0 0",
		"60 7 0 0 0", "60 7 0 0x", "x", "99999999999 7 0 0"};
	struct snapshot_schedule s = {
		.every_s = 60, .keep = 3, .expire_s = 120, .next_wall_usec = 7 * S};
	struct snapshot_schedule back;
	char text[SCHEDULE_TEXT_SIZE];

	(void)state;
	assert_int_equal(snapshot_schedule_parse(snapshot_schedule_write(&s, text), &back), 0);
	assert_int_equal(back.every_s, s.every_s);
	assert_int_equal(back.keep, s.keep);
	assert_int_equal(back.expire_s, s.expire_s);
	assert_int_equal(back.next_wall_usec, s.next_wall_usec);
	memset(&s, 0, sizeof(s));
	assert_string_equal(snapshot_schedule_write(&s, text), "");
	assert_int_equal(snapshot_schedule_parse("", &back), 0);
	assert_int_equal(back.every_s, 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_true(snapshot_schedule_parse(wrong[i], &back) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_is_behind_now),
		cmocka_unit_test(due_at_its_time_or_when_the_clock_was_set_back),
		cmocka_unit_test(names_tell_the_time),
		cmocka_unit_test(kept_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
