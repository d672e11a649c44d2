/*
 * What the supervisor does to a container's files as a whole, on a pool that has to copy: a running
 * one stands still for it and goes on, whoever is killed meanwhile.
 */
#include "tests/integration/root/supervisor_harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FOREVER "exec sleep 100000"
#define ROUNDS	6
/* Two files that agree whenever the container stands still between two rounds, or nearly. */
#define COUNTER "i=0; while :; do i=$((i+1)); echo $i > /a; echo $i > /b; done"
/* So many files take long enough to be hit in the middle. */
#define FILES(n)                                                                                   \
	"mkdir /d; i=0; while [ $i -lt " #n " ]; do i=$((i+1)); echo $i > /d/$i; done; echo y > "  \
	"/ok; "
#define MANY	  FILES(600)
#define MANY_MORE FILES(10000)

static int snapshot_call(struct sup *s, enum msg_op op, const char *name, enum pause pause)
{
	struct msg_snapshot msg = {.tenant = TENANT, .container = "web", .pause = (uint8_t)pause};

	snprintf(msg.snapshot, sizeof(msg.snapshot), "%s", name);
	msg.disk = DISK_LIMITS_NONE;
	return sup_call(s, op, &msg, NULL, 0);
}

static int copy_call(struct sup *s, const char *snapshot, const char *to, enum pause pause)
{
	struct msg_copy msg = {.tenant = TENANT, .from = "web", .pause = (uint8_t)pause};

	snprintf(msg.snapshot, sizeof(msg.snapshot), "%s", snapshot);
	snprintf(msg.to, sizeof(msg.to), "%s", to);
	msg.disk = DISK_LIMITS_NONE;
	return sup_call(s, MSG_CONTAINER_COPY, &msg, NULL, 0);
}

static int rename_call(struct sup *s, const char *from, const char *to)
{
	struct msg_rename msg = {.tenant = TENANT};

	snprintf(msg.from, sizeof(msg.from), "%s", from);
	snprintf(msg.to, sizeof(msg.to), "%s", to);
	return sup_call(s, MSG_CONTAINER_RENAME, &msg, NULL, 0);
}

static int rebuild_call(struct sup *s)
{
	struct msg_container_create msg = {.tenant = TENANT, .container = "web"};

	msg.disk = DISK_LIMITS_NONE;
	return sup_call(s, MSG_CONTAINER_RESET, &msg, NULL, 0);
}

static enum run_state state_of(struct sup *s)
{
	struct event event;

	assert_done(s, sup_list(s));
	event = sup_event(s, MSG_EVENT_CONTAINER);
	for (size_t i = 0; i < event.n_fds; i++)
		close(event.fds[i]);
	return event.u.container.state;
}

static void stop(struct sup *s, const char *container)
{
	struct msg_run_ended ended;

	assert_done(s, sup_container(s, MSG_CONTAINER_KILL, container));
	ended = sup_ended(s, container);
	assert_done(s, sup_ack(s, &ended));
}

static bool upper_has(struct sup *s, const char *container, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/state/pool/tenants/" TENANT "/%s/%s", s->dir, container,
		file);
	return access(path, F_OK) == 0;
}

static long number_in(struct sup *s, const char *file)
{
	char path[256];
	char text[32];

	snprintf(path, sizeof(path), "%s/state/pool/tenants/" TENANT "/web.snapshots/one/upper/%s",
		s->dir, file);
	if (fd_read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	return atol(text);
}

static void a_running_one_stands_still_and_goes_on(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_snapshot_made made;
	long a;
	long b;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", "echo 0 > /a; echo 0 > /b; " COUNTER, NULL));
	assert_int_equal(exec_sh(s, "web", "while [ ! -s /b ]; do :; done"), 0);
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "one", PAUSE_FREEZE));
	memcpy(&made, s->reply, sizeof(made));
	assert_true(made.paused_usec > 0);
	/* One of them may have been opened anew, and not yet written, when it was frozen. */
	a = number_in(s, "a");
	b = number_in(s, "b");
	if (a && b)
		assert_in_range(a - b, 0, 1);
	assert_true(a || b);
	assert_int_equal(state_of(s), RUN_RUNNING);
	assert_int_equal(
		exec_sh(s, "web", "x=$(cat /b); until [ \"$(cat /b)\" != \"$x\" ]; do :; done"), 0);
	assert_int_equal(sup_count_files(s, "state/supervisor/pauses"), 0);

	/* One that its tenant has frozen stays so. */
	assert_done(s, sup_freeze(s, "web", true));
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "two", PAUSE_FROZEN));
	assert_int_equal(state_of(s), RUN_FROZEN);
	assert_done(s, sup_freeze(s, "web", false));
	assert_refused(
		s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "three", PAUSE_FROZEN), "CONTAINER_STATE");
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void what_runs_is_not_exchanged(void **state)
{
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "one", PAUSE_FREEZE));
	assert_refused(
		s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "one", PAUSE_FREEZE), "SNAPSHOT_EXISTS");
	assert_int_equal(state_of(s), RUN_RUNNING);
	assert_refused(
		s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "two", PAUSE_STOPPED), "CONTAINER_RUNNING");
	assert_refused(s, snapshot_call(s, MSG_SNAPSHOT_RESTORE, "one", PAUSE_STOPPED),
		"CONTAINER_RUNNING");
	assert_refused(s, rename_call(s, "web", "other"), "CONTAINER_RUNNING");
	assert_refused(s, rebuild_call(s), "CONTAINER_RUNNING");
	assert_refused(
		s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "../x", PAUSE_FREEZE), "INVALID_NAME");
	assert_refused(s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "x", 9), "CONTAINER_STATE");
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void files_of_a_stopped_one(void **state)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)"[ -s /one ] && " FOREVER, NULL};
	struct sup *s = sup_begin(state);
	struct msg_container_start msg;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", "echo 1 > /one; " FOREVER, NULL));
	assert_int_equal(exec_sh(s, "web", "while [ ! -s /one ]; do :; done"), 0);
	assert_done(s, copy_call(s, "", "copy", PAUSE_FREEZE));
	assert_refused(s, copy_call(s, "", "copy", PAUSE_FREEZE), "CONTAINER_EXISTS");
	stop(s, "web");
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "one", PAUSE_STOPPED));
	assert_done(s, rebuild_call(s));
	assert_false(upper_has(s, "web", "upper/one"));
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_RESTORE, "one", PAUSE_STOPPED));
	assert_true(upper_has(s, "web", "upper/one"));
	assert_done(s, rename_call(s, "web", "site"));
	assert_done(s, rename_call(s, "site", "web"));
	assert_done(s, copy_call(s, "one", "second", PAUSE_STOPPED));
	assert_true(upper_has(s, "second", "upper/one"));
	/* What was copied runs. */
	msg = sup_start_msg(s, "copy");
	msg.create = 0;
	assert_done(s, sup_start_container_as(s, &msg, argv, NULL));
	assert_int_equal(exec_sh(s, "copy", "cat /one"), 0);
	sup_discard(s, "copy");
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_REMOVE, "one", PAUSE_STOPPED));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "second"));
	sup_shutdown(s);
}

/* Sends a request and does not wait for its answer. */
static void send_only(struct sup *s, enum msg_op op, const char *name, enum pause pause)
{
	struct msg_snapshot msg = {.tenant = TENANT, .container = "web", .pause = (uint8_t)pause};

	snprintf(msg.snapshot, sizeof(msg.snapshot), "%s", name);
	msg.disk = DISK_LIMITS_NONE;
	assert_done(s, supervisor_client_send(s->client, op, &msg, NULL, 0, NULL, NULL, &s->err));
}

static void kill_after(struct sup *s, int round)
{
	struct timespec t = {.tv_nsec = round * 8 * 1000000L};

	nanosleep(&t, NULL);
	sup_kill(s);
	sup_start(s);
}

static void one_thing_at_a_time(void **state)
{
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", MANY_MORE FOREVER, NULL));
	assert_int_equal(exec_sh(s, "web", "while [ ! -s /ok ]; do sleep 0.1; done"), 0);
	send_only(s, MSG_SNAPSHOT_MAKE, "one", PAUSE_FREEZE);
	assert_refused(
		s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "two", PAUSE_FREEZE), "CONTAINER_BUSY");
	assert_refused(s, sup_freeze(s, "web", true), "CONTAINER_BUSY");
	/* It is not shown as frozen, which is a state that somebody asked for. */
	assert_int_equal(state_of(s), RUN_RUNNING);
	while (snapshot_call(s, MSG_SNAPSHOT_REMOVE, "none", PAUSE_STOPPED) < 0)
		sup_poll(s, 10);
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void killed_while_it_stands_still(void **state)
{
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", MANY COUNTER, NULL));
	assert_int_equal(exec_sh(s, "web", "while [ ! -s /b ]; do sleep 0.1; done"), 0);
	for (int round = 0; round < ROUNDS; round++) {
		send_only(s, MSG_SNAPSHOT_MAKE, "one", PAUSE_FREEZE);
		kill_after(s, round);
		assert_int_equal(state_of(s), RUN_RUNNING);
		assert_int_equal(exec_sh(s, "web",
					 "x=$(cat /b); until [ \"$(cat /b)\" != \"$x\" ]; "
					 "do :; done"),
			0);
		assert_int_equal(sup_count_files(s, "state/supervisor/pauses"), 0);
		assert_done(s, snapshot_call(s, MSG_SNAPSHOT_REMOVE, "one", PAUSE_STOPPED));
	}
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_MAKE, "one", PAUSE_FREEZE));
	assert_true(upper_has(s, "web.snapshots", "one/upper/d/600"));
	stop(s, "web");
	for (int round = 0; round < ROUNDS; round++) {
		send_only(s, MSG_SNAPSHOT_RESTORE, "one", PAUSE_STOPPED);
		kill_after(s, round);
		assert_true(upper_has(s, "web", "upper/d/600"));
	}
	assert_done(s, snapshot_call(s, MSG_SNAPSHOT_RESTORE, "one", PAUSE_STOPPED));
	assert_false(upper_has(s, "web.new", ""));
	assert_false(upper_has(s, "web.new.part", ""));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(a_running_one_stands_still_and_goes_on),
		with_supervisor(what_runs_is_not_exchanged),
		with_supervisor(files_of_a_stopped_one),
		with_supervisor(one_thing_at_a_time),
		with_supervisor(killed_while_it_stands_still),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP a supervisor needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
