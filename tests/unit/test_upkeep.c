/* server/upkeep.h: which ends of a run another run follows, and after how long. */
#include "server/upkeep.h"

#include "tests/unit/unit.h"

#include <string.h>

static void policies_say_what_is_followed(void **state)
{
	static const struct {
		enum run_exit exit;
		int status;
		bool on_failure;
		bool always;
	} cases[] = {
		{RUN_EXIT_EXITED, 0, false, true},
		{RUN_EXIT_EXITED, 1, true, true},
		{RUN_EXIT_SIGNALLED, 0, true, true},
		{RUN_EXIT_OOM, 0, true, true},
		{RUN_EXIT_UNKNOWN, 0, true, true},
		{RUN_EXIT_POWEROFF, 0, false, false},
		{RUN_EXIT_REBOOT, 0, false, false},
		{RUN_EXIT_NONE, 0, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct upkeep u = {.restart = RESTART_NEVER};

		assert_false(upkeep_wants_restart(&u, cases[i].exit, cases[i].status));
		u.restart = RESTART_ON_FAILURE;
		assert_int_equal(upkeep_wants_restart(&u, cases[i].exit, cases[i].status),
			cases[i].on_failure);
		u.restart = RESTART_ALWAYS;
		assert_int_equal(
			upkeep_wants_restart(&u, cases[i].exit, cases[i].status), cases[i].always);
	}
}

static void pauses_grow_to_a_limit(void **state)
{
	(void)state;
	assert_int_equal(upkeep_pause_seconds(0), 1);
	assert_int_equal(upkeep_pause_seconds(1), 2);
	assert_int_equal(upkeep_pause_seconds(8), 256);
	assert_int_equal(upkeep_pause_seconds(9), 300);
	assert_int_equal(upkeep_pause_seconds(31), 300);
	assert_int_equal(upkeep_pause_seconds(4000000000u), 300);
}

static void a_run_that_lasted_begins_anew(void **state)
{
	struct container c = {.upkeep.restart = RESTART_ALWAYS, .restarts = 7};

	(void)state;
	c.run.exit = RUN_EXIT_SIGNALLED;
	c.run.start_boot_usec = 1;
	c.run.end_boot_usec = 59 * UINT64_C(1000000);
	upkeep_decide(&c);
	assert_true(c.restart_due);
	assert_int_equal(c.restarts, 7);
	c.run.end_boot_usec = 61 * UINT64_C(1000000);
	upkeep_decide(&c);
	assert_int_equal(c.restarts, 0);
	upkeep_cancel(&c);
	assert_false(c.restart_due);
}

static void names_come_back(void **state)
{
	enum restart_policy policy;

	(void)state;
	for (int i = RESTART_NEVER; i <= RESTART_ALWAYS; i++) {
		assert_int_equal(
			upkeep_restart_parse(upkeep_restart_name((enum restart_policy)i), &policy),
			0);
		assert_int_equal(policy, i);
	}
	assert_int_equal(upkeep_restart_parse("sometimes", &policy), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_say_what_is_followed),
		cmocka_unit_test(pauses_grow_to_a_limit),
		cmocka_unit_test(a_run_that_lasted_begins_anew),
		cmocka_unit_test(names_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
