/* server/container_state.h: the whole table of moves, and what is said of a refused one. */
#include "server/container_state.h"

#include "tests/unit/unit.h"

#include <errno.h>

/* Rows: from; columns: to; in the order of the enum. */
static const char *const expected[] = {
	/*            STOPPED STARTING RUNNING FREEZING FROZEN STOPPING DELETING */
	[CONTAINER_STOPPED] = ".S....D",
	[CONTAINER_STARTING] = "O.R..T.",
	[CONTAINER_RUNNING] = "O..F.T.",
	[CONTAINER_FREEZING] = "O.R.ZT.",
	[CONTAINER_FROZEN] = "O..F.T.",
	[CONTAINER_STOPPING] = "O......",
	[CONTAINER_DELETING] = ".......",
};

static void every_move_is_as_pictured(void **state)
{
	(void)state;
	for (int from = CONTAINER_STOPPED; from <= CONTAINER_DELETING; from++)
		for (int to = CONTAINER_STOPPED; to <= CONTAINER_DELETING; to++) {
			bool want = expected[from][to - 1] != '.';
			bool may = container_state_may(
				(enum container_state)from, (enum container_state)to);

			if (may != want)
				fail_msg("%s to %s is %s",
					container_state_name((enum container_state)from),
					container_state_name((enum container_state)to),
					may ? "allowed" : "refused");
		}
}

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_false(container_state_may(0, CONTAINER_STOPPED));
	assert_false(container_state_may(99, CONTAINER_STOPPED));
	assert_false(container_state_may(CONTAINER_STOPPED, 99));
	assert_string_equal(container_state_name(99), "unknown");
}

static void a_refusal_says_what_to_do(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(
		container_state_check("acme", "web", CONTAINER_RUNNING, CONTAINER_DELETING, &err),
		err_code_to_errno(ERR_FAILED_PRECONDITION));
	assert_string_equal(err.reason, "CONTAINER_STATE");
	assert_string_equal(err.msg, "acme/web is running; stop it first");
	container_state_check("acme", "web", CONTAINER_RUNNING, CONTAINER_RUNNING, &err);
	assert_string_equal(err.msg, "acme/web is running; there is nothing to do");
}

static void processes_exist_only_between_start_and_stop(void **state)
{
	(void)state;
	assert_false(container_state_is_live(CONTAINER_STOPPED));
	assert_true(container_state_is_live(CONTAINER_STARTING));
	assert_true(container_state_is_live(CONTAINER_FROZEN));
	assert_true(container_state_is_live(CONTAINER_STOPPING));
	assert_false(container_state_is_live(CONTAINER_DELETING));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_move_is_as_pictured),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(a_refusal_says_what_to_do),
		cmocka_unit_test(processes_exist_only_between_start_and_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
