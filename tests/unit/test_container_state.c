/* The states of a container with a run: the table against the picture in container.h. */
#include "tests/unit/unit.h"

#include "sandbox/container.h"

#include <signal.h>
#include <string.h>

/* Each arrow of the picture; what is not here must be refused. */
static const struct {
	enum container_state from;
	enum container_state to;
} arrows[] = {
	{CONTAINER_NONE, CONTAINER_STARTING},	 /* start */
	{CONTAINER_NONE, CONTAINER_RUNNING},	 /* adopted alive */
	{CONTAINER_NONE, CONTAINER_STOPPING},	 /* adopted dead: its teardown is repeated */
	{CONTAINER_STARTING, CONTAINER_RUNNING}, /* init executed */
	{CONTAINER_STARTING, CONTAINER_NONE},	 /* failed */
	{CONTAINER_RUNNING, CONTAINER_STOPPING}, /* init ended */
	{CONTAINER_STOPPING, CONTAINER_ENDED},	 /* counters on file, cgroup removed */
	{CONTAINER_ENDED, CONTAINER_NONE},	 /* acknowledged */
	{CONTAINER_NONE, CONTAINER_MAKING},	 /* its upper */
	{CONTAINER_MAKING, CONTAINER_NONE},
	{CONTAINER_NONE, CONTAINER_REMOVING},
	{CONTAINER_REMOVING, CONTAINER_NONE},
};

static bool has_arrow(enum container_state from, enum container_state to)
{
	for (size_t i = 0; i < ARRAY_SIZE(arrows); i++)
		if (arrows[i].from == from && arrows[i].to == to)
			return true;
	return false;
}

static void the_table_is_the_picture(void **state)
{
	(void)state;
	for (int from = 0; from < CONTAINER_STATE_N; from++)
		for (int to = 0; to < CONTAINER_STATE_N; to++)
			assert_int_equal(container_may_move(from, to), has_arrow(from, to));
}

static void a_refused_move_changes_nothing(void **state)
{
	(void)state;
	for (int from = 0; from < CONTAINER_STATE_N; from++)
		for (int to = 0; to < CONTAINER_STATE_N; to++) {
			struct container c = {.state = from};
			bool may = has_arrow(from, to);

			assert_int_equal(container_move(&c, to), may);
			assert_int_equal(c.state, may ? to : from);
		}
}

static void only_a_running_container_is_found_running(void **state)
{
	struct supervisor s = {0};
	struct container *c;
	struct err err;

	(void)state;
	c = container_new(&s, "acme", "web");
	assert_non_null(c);
	assert_int_equal(c->state, CONTAINER_NONE);
	for (int at = 0; at < CONTAINER_STATE_N; at++) {
		c->state = at;
		assert_ptr_equal(container_find(&s, "acme", "web"), c);
		if (at == CONTAINER_RUNNING) {
			assert_ptr_equal(container_find_running(&s, "acme", "web", &err), c);
			continue;
		}
		assert_null(container_find_running(&s, "acme", "web", &err));
		assert_string_equal(err.reason, "CONTAINER_NOT_RUNNING");
	}
	assert_null(container_find(&s, "acme", "db"));
	assert_null(container_find(&s, "umbrella", "web"));
	container_forget(c);
	assert_null(container_find(&s, "acme", "web"));
	assert_null(s.containers);
}

static void forgetting_takes_the_right_one(void **state)
{
	struct supervisor s = {0};
	struct container *a = container_new(&s, "acme", "a");
	struct container *b = container_new(&s, "acme", "b");
	struct container *c = container_new(&s, "acme", "c");

	(void)state;
	container_forget(b);
	assert_ptr_equal(container_find(&s, "acme", "a"), a);
	assert_null(container_find(&s, "acme", "b"));
	assert_ptr_equal(container_find(&s, "acme", "c"), c);
	container_forget(a);
	container_forget(c);
	assert_null(s.containers);
}

static void exits_are_told_apart(void **state)
{
	struct exit_info info;

	(void)state;
	info = container_exit_info(CLD_EXITED, 7);
	assert_int_equal(info.kind, EXIT_KIND_EXITED);
	assert_int_equal(info.status, 7);
	assert_int_equal(info.signal, 0);
	info = container_exit_info(CLD_KILLED, 9);
	assert_int_equal(info.kind, EXIT_KIND_SIGNALLED);
	assert_int_equal(info.signal, 9);
	info = container_exit_info(CLD_DUMPED, 11);
	assert_int_equal(info.kind, EXIT_KIND_SIGNALLED);
	assert_int_equal(info.signal, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_the_picture),
		cmocka_unit_test(a_refused_move_changes_nothing),
		cmocka_unit_test(only_a_running_container_is_found_running),
		cmocka_unit_test(forgetting_takes_the_right_one),
		cmocka_unit_test(exits_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
