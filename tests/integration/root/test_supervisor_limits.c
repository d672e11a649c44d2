/* A memory limit forced below what a running container uses: who dies of it, and what is told. */
#include "tests/integration/root/supervisor_harness.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FOREVER "exec sleep 100000"
#define MIB	(UINT64_C(1) << 20)

static int force_memory(struct sup *s, uint64_t memory, bool oom_group)
{
	struct msg_limits msg = {.tenant = TENANT, .container = "web", .force = 1, .running = 1};

	limits_init(&msg.limits);
	msg.oom_group = oom_group;
	msg.limits.value[LIMIT_MEMORY] = memory;
	return sup_call(s, MSG_CONTAINER_LIMITS, &msg, NULL, 0);
}

/* The memory is of a mount, so it comes back when the last process has let go of that. */
static void shared_memory_ends_the_container_as_an_oom(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_run_ended ended;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(
		exec_sh(s, "web", "dd if=/dev/zero of=/dev/shm/x bs=1M count=64 2> /dev/null"), 0);
	assert_done(s, force_memory(s, 16 * MIB, false));
	ended = sup_ended(s, "web");
	assert_int_equal(ended.exit.kind, EXIT_KIND_SIGNALLED);
	assert_int_equal(ended.exit.signal, SIGKILL);
	assert_int_equal(ended.counters_valid, 1);
	assert_true(ended.counters.oom_kills > 0);
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

/*
 * cgroup v2's kernel may take another process before the first has given back what it held, init
 * among them. What it takes is counted.
 */
static void whatever_is_left_ends(struct sup *s)
{
	struct msg_run_ended ended;

	sup_container(s, MSG_CONTAINER_KILL, "web");
	ended = sup_ended(s, "web");
	assert_int_equal(ended.counters_valid, 1);
	assert_true(ended.counters.oom_kills > 0);
	assert_true(ended.counters.memory_bytes <= 16 * MIB);
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
}

/* On v1 only what is needed: init and what is small live on, and the kill is told of. */
static void one_large_process_is_an_oom_of_its_own(void **state)
{
	struct sup *s = sup_begin(state);
	struct event hit;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(exec_sh(s, "web",
				 "/bin/probe eat 67108864 100000 > /tmp/large 2>&1 & "
				 "sleep 100001 > /dev/null 2>&1 & until [ -s /tmp/large ]; do "
				 "sleep 0.01; done"),
		0);
	assert_done(s, force_memory(s, 16 * MIB, false));
	/* v2 may tell first that the limit was met, and then of the kill. */
	do
		hit = sup_event(s, MSG_EVENT_LIMIT_HIT);
	while (!hit.u.limit_hit.counters.oom_kills);
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
		whatever_is_left_ends(s);
		sup_shutdown(s);
		return;
	}
	assert_int_equal(hit.u.limit_hit.counters.oom_kills, 1);
	assert_int_equal(exec_sh(s, "web", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'"), 0);
	assert_non_null(strstr(s->output, "100001"));
	assert_null(strstr(s->output, "probe"));
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* Where an OOM takes all, a forced limit does. */
static void with_an_oom_group_all_of_it_goes(void **state)
{
	struct msg_container_start msg;
	char *argv[] = {(char *)"/bin/sleep", (char *)"100000", NULL};
	struct sup *s = sup_begin(state);
	struct msg_run_ended ended;

	assert_done(s, sup_tenant_set(s));
	msg = sup_start_msg(s, "web");
	msg.oom_group = 1;
	assert_done(s, sup_start_container_as(s, &msg, argv, NULL));
	assert_int_equal(exec_sh(s, "web",
				 "/bin/probe eat 67108864 100000 > /tmp/large 2>&1 & "
				 "until [ -s /tmp/large ]; do sleep 0.01; done"),
		0);
	assert_done(s, force_memory(s, 16 * MIB, true));
	ended = sup_ended(s, "web");
	assert_int_equal(ended.exit.signal, SIGKILL);
	assert_true(ended.counters.oom_kills > 0);
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(shared_memory_ends_the_container_as_an_oom),
		with_supervisor(one_large_process_is_an_oom_of_its_own),
		with_supervisor(with_an_oom_group_all_of_it_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
