/* The supervisor dies at any moment: containers run on, and nothing is lost or left behind. */
#include "tests/integration/root/supervisor_harness.h"

#include "sandbox/syscalls.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

#define FOREVER "exec sleep 100000"
#define ROUNDS	24

/* Fixed, so that a failure can be had again; spread over what a start takes. */
static unsigned next_delay_usec(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % 3000u;
}

static void sleep_usec(unsigned usec)
{
	struct timespec t = {.tv_nsec = (long)usec * 1000};

	nanosleep(&t, NULL);
}

static bool is_alive(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static void restart(struct sup *s)
{
	sup_kill(s);
	sup_start(s);
}

static struct event listed(struct sup *s)
{
	assert_done(s, sup_list(s));
	return sup_event(s, MSG_EVENT_CONTAINER);
}

static void close_event(struct event *event)
{
	for (size_t i = 0; i < event->n_fds; i++)
		close_fd(&event->fds[i]);
}

/* Does this kernel tell how a process ended that is no child of ours (Linux 6.15)? */
static bool kernel_tells_exits(void)
{
	struct pidfd_exit told = {0};
	pid_t pid = fork();
	int fd;

	if (pid == 0)
		_exit(0);
	fd = pidfd_open(pid, 0);
	waitpid(pid, NULL, 0);
	sys_pidfd_exit(fd, &told);
	close(fd);
	return told.known;
}

static void a_running_container_is_adopted(void **state)
{
	struct sup *s = sup_begin(state);
	size_t n_dirs = counters_n_dirs(supervisor_client_cgroup_kind(s->client));
	struct msg_run_ended ended;
	struct msg_started started;
	struct event event;
	char out[64];
	ssize_t n;

	assert_done(s, sup_tenant_set(s));
	/* It goes on writing while nobody is there to read. */
	assert_done(s, sup_run(s, "web", "sleep 0.1; echo later; " FOREVER, &started));
	sup_kill(s);
	assert_true(is_alive(started.pid));
	sup_start(s);
	event = listed(s);
	assert_string_equal(event.u.container.tenant, TENANT);
	assert_string_equal(event.u.container.container, "web");
	assert_int_equal(event.u.container.state, RUN_RUNNING);
	assert_memory_equal(&event.u.container.started, &started, sizeof(started));
	assert_int_equal(event.n_fds, n_dirs + 1);
	assert_int_equal(
		poll(&(struct pollfd){.fd = event.fds[n_dirs], .events = POLLIN}, 1, WAIT_MS), 1);
	n = read(event.fds[n_dirs], out, sizeof(out));
	assert_int_equal(n, 6);
	assert_memory_equal(out, "later\n", 6);
	close_event(&event);
	assert_true(sup_has_event(s, MSG_EVENT_TENANT));
	assert_int_equal(exec_sh(s, "web", "exit 5"), 5);
	assert_refused(s, sup_run(s, "web", FOREVER, NULL), "CONTAINER_RUNNING");
	assert_done(s, sup_freeze(s, "web", true));
	assert_done(s, sup_freeze(s, "web", false));
	assert_done(s, sup_container(s, MSG_CONTAINER_KILL, "web"));
	ended = sup_ended(s, "web");
	assert_string_equal(ended.run_id, started.run_id);
	assert_int_equal(ended.counters_valid, 1);
	assert_true(ended.counters.cpu_usec > 0);
	/* Older kernels tell of a zombie only, and this one is reaped by us as soon as seen. */
	if (kernel_tells_exits() || ended.exit.kind != EXIT_KIND_UNKNOWN) {
		assert_int_equal(ended.exit.kind, EXIT_KIND_SIGNALLED);
		assert_int_equal(ended.exit.signal, SIGKILL);
	}
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

/*
 * Who reaps an adopted init is not the supervisor's choice, and may take its time. Seen while the
 * zombie is still there: the end with its reason, the cgroup gone, the range free.
 */
static void an_adopted_end_waits_for_no_reaper(void **state)
{
	static const struct {
		const char *script;
		int signal; /* 0: it exits with 7 */
	} ends[] = {{"sleep 0.2; exit 7", 0}, {"sleep 0.2; kill -9 -1; " FOREVER, SIGKILL},
		{"sleep 0.2; reboot -f; " FOREVER, SIGHUP},
		{"sleep 0.2; poweroff -f; " FOREVER, SIGINT}};
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct msg_run_ended ended;
		struct msg_started started;
		siginfo_t info = {0};

		assert_done(s, sup_run(s, "web", ends[i].script, &started));
		sup_kill(s);
		s->keep_zombies = true;
		sup_start(s);
		/* As the kill is for all but init, that one is ended from here. */
		if (ends[i].signal == SIGKILL)
			assert_int_equal(kill(started.pid, SIGKILL), 0);
		assert_done(s, sup_list(s));
		ended = sup_ended(s, "web");
		assert_int_equal(
			ended.exit.kind, ends[i].signal ? EXIT_KIND_SIGNALLED : EXIT_KIND_EXITED);
		assert_int_equal(ended.exit.signal, ends[i].signal);
		assert_int_equal(ended.exit.status, ends[i].signal ? 0 : 7);
		assert_int_equal(ended.counters_valid, 1);
		assert_int_equal(sup_ranges_held(s), 0);
		assert_int_equal(
			waitid(P_PID, (id_t)started.pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
		assert_int_equal(info.si_pid, started.pid);
		s->keep_zombies = false;
		assert_done(s, sup_ack(s, &ended));
		assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	}
	sup_shutdown(s);
}

static void one_that_ended_meanwhile_is_told_of_until_acknowledged(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_run_ended first;
	struct msg_run_ended again;
	struct msg_started started;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, &started));
	assert_int_equal(exec_sh(s, "web", "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done"), 0);
	sup_kill(s);
	assert_int_equal(kill(started.pid, SIGKILL), 0);
	waitpid(started.pid, NULL, 0);
	sup_start(s);
	assert_done(s, sup_list(s));
	first = sup_ended(s, "web");
	assert_string_equal(first.run_id, started.run_id);
	assert_int_equal(first.exit.kind, EXIT_KIND_UNKNOWN);
	assert_int_equal(first.counters_valid, 1);
	assert_true(first.counters.cpu_usec > 0);
	restart(s);
	assert_done(s, sup_list(s));
	again = sup_ended(s, "web");
	assert_memory_equal(&again, &first, sizeof(first));
	/* Also after a mere reconnect. */
	sup_disconnect(s);
	sup_connect(s);
	assert_done(s, sup_list(s));
	again = sup_ended(s, "web");
	assert_memory_equal(&again, &first, sizeof(first));
	assert_done(s, sup_ack(s, &first));
	restart(s);
	assert_done(s, sup_list(s));
	assert_false(sup_has_event(s, MSG_EVENT_RUN_ENDED));
	assert_false(sup_has_event(s, MSG_EVENT_CONTAINER));
	sup_assert_nothing_left(s, true);
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

/* The range of a run that has ended is another's by the time its end is gone through again. */
static void an_ended_run_does_not_give_back_a_range_of_another(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_run_ended ended;
	struct msg_started old;
	struct msg_started now;
	struct msg_started later;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "old", FOREVER, &old));
	assert_done(s, sup_container(s, MSG_CONTAINER_KILL, "old"));
	sup_ended(s, "old");
	restart(s);
	assert_done(s, sup_list(s));
	sup_ended(s, "old");
	assert_int_equal(sup_ranges_held(s), 0);
	assert_done(s, sup_run(s, "now", FOREVER, &now));
	/* A restarted supervisor looks for a range from the same place on. */
	assert_int_equal(now.id_base, old.id_base);
	restart(s);
	assert_done(s, sup_list(s));
	ended = sup_ended(s, "old");
	assert_int_equal(sup_ranges_held(s), 1);
	assert_done(s, sup_run(s, "later", FOREVER, &later));
	assert_int_not_equal(later.id_base, now.id_base);
	assert_done(s, sup_ack(s, &ended));
	assert_int_equal(sup_ranges_held(s), 2);
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "old"));
	sup_discard(s, "now");
	sup_discard(s, "later");
	sup_shutdown(s);
}

static void send_start(struct sup *s, const char *container, supervisor_reply_fn reply, void *arg)
{
	char *argv[] = {(char *)"/bin/sleep", (char *)"100000", NULL};
	struct spawn_args args = {.argv = argv, .envp = argv + 2, .user = "", .working_dir = ""};
	struct msg_container_start msg = sup_start_msg(s, container);
	int fd = -1;

	assert_int_equal(spawn_args_pack(&args, &fd, &s->err), 0);
	assert_int_equal(supervisor_client_send(
				 s->client, MSG_CONTAINER_START, &msg, &fd, 1, reply, arg, &s->err),
		0);
	close(fd);
}

/* After the restart: adopted, or ended, or never was. Returns true when it was there. */
static bool settle(struct sup *s, const char *container)
{
	struct msg_run_ended ended;
	struct event event;
	bool running;

	assert_done(s, sup_list(s));
	if (!sup_has_event(s, MSG_EVENT_CONTAINER))
		return false;
	event = sup_event(s, MSG_EVENT_CONTAINER);
	assert_string_equal(event.u.container.container, container);
	running = event.u.container.state == RUN_RUNNING;
	close_event(&event);
	/* Refused when it is just ending. */
	if (running)
		sup_container(s, MSG_CONTAINER_KILL, container);
	ended = sup_ended(s, container);
	assert_int_equal(ended.counters_valid, 1);
	assert_done(s, sup_ack(s, &ended));
	return true;
}

static void killed_while_starting(void **state)
{
	struct sup *s = sup_begin(state);
	unsigned seed = 1;
	int adopted = 0;

	assert_done(s, sup_tenant_set(s));
	for (int i = 0; i < ROUNDS; i++) {
		char name[NAME_SIZE];

		snprintf(name, sizeof(name), "c%d", i);
		send_start(s, name, NULL, NULL);
		sleep_usec(next_delay_usec(&seed));
		restart(s);
		adopted += settle(s, name);
		sup_assert_nothing_left(s, true);
		assert_int_equal(sup_count_files(s, "state/supervisor/runs"), 0);
		assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, name));
	}
	/* The delays reach both before and behind the point of no return. */
	print_message("# adopted %d of %d\n", adopted, ROUNDS);
	/* The control: undisturbed, it starts. */
	assert_done(s, sup_run(s, "c0", FOREVER, NULL));
	sup_discard(s, "c0");
	sup_shutdown(s);
}

static void killed_while_ending(void **state)
{
	struct sup *s = sup_begin(state);
	unsigned seed = 7;

	assert_done(s, sup_tenant_set(s));
	for (int i = 0; i < ROUNDS; i++) {
		struct msg_container msg = {.tenant = TENANT};

		snprintf(msg.container, sizeof(msg.container), "c%d", i);
		assert_done(s, sup_run(s, msg.container, FOREVER, NULL));
		assert_int_equal(supervisor_client_send(s->client, MSG_CONTAINER_KILL, &msg, NULL,
					 0, NULL, NULL, &s->err),
			0);
		sleep_usec(next_delay_usec(&seed));
		restart(s);
		assert_true(settle(s, msg.container));
		sup_assert_nothing_left(s, true);
		assert_int_equal(sup_count_files(s, "state/supervisor/runs"), 0);
		assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, msg.container));
	}
	sup_shutdown(s);
}

static void a_damaged_run_file_costs_that_run_only(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_started good;
	struct msg_started bad;
	struct event event;
	char path[160];
	int fd;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "good", FOREVER, &good));
	assert_done(s, sup_run(s, "bad", FOREVER, &bad));
	sup_kill(s);
	snprintf(path, sizeof(path), "%s/state/supervisor/runs/" TENANT ".bad", s->dir);
	/* The name of a run may itself end like that of a file set aside. */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "xyz", 3, 200), 3);
	close(fd);
	sup_start(s);
	event = listed(s);
	assert_string_equal(event.u.container.container, "good");
	assert_int_equal(event.u.container.started.pid, good.pid);
	close_event(&event);
	/* The range of what could not be read goes back once its processes are gone. */
	for (int64_t deadline = sup_now_ms() + WAIT_MS;
		is_alive(bad.pid) || sup_ranges_held(s) != 1;) {
		assert_true(sup_now_ms() < deadline);
		sup_poll(s, 10);
	}
	assert_int_equal(exec_sh(s, "good", "true"), 0);
	sup_discard(s, "good");
	unlink(path);
	strcat(path, ".bad");
	unlink(path);
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "bad"));
	sup_shutdown(s);
}

/* Waits until the container is neither starting nor ending, and tells which it came to. */
static bool is_running(struct sup *s, const char *container)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;

	for (;;) {
		struct event event;
		uint32_t run_state;

		sup_drop_events(s);
		assert_done(s, sup_list(s));
		if (!sup_has_event(s, MSG_EVENT_CONTAINER))
			return false;
		event = sup_event(s, MSG_EVENT_CONTAINER);
		run_state = event.u.container.state;
		assert_string_equal(event.u.container.container, container);
		close_event(&event);
		if (run_state == RUN_RUNNING || run_state == RUN_ENDED)
			return true;
		assert_true(sup_now_ms() < deadline);
		sup_poll(s, 10);
	}
}

/* A builder that is killed takes nothing with it: what it had made goes, and only that. */
static void a_killed_builder_leaves_nothing(void **state)
{
	struct sup *s = sup_begin(state);
	unsigned seed = 3;
	int lost = 0;

	assert_done(s, sup_tenant_set(s));
	for (int i = 0; i < ROUNDS || (!lost && i < 20 * ROUNDS); i++) {
		pid_t builder;

		send_start(s, "web", NULL, NULL);
		while (!(builder = sup_youngest_child(s)))
			sup_poll(s, 0);
		sleep_usec(next_delay_usec(&seed));
		kill(builder, SIGKILL);
		if (is_running(s, "web")) {
			sup_discard(s, "web");
			continue;
		}
		lost++;
		sup_wait_for_children(s, 0);
		sup_assert_nothing_left(s, true);
	}
	print_message("# killed %d builders in time\n", lost);
	assert_true(lost > 0);
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void on_refused(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	(void)reply;
	(void)fds;
	(void)n_fds;
	assert_non_null(err);
	*(bool *)arg = true;
}

/* Asked to make what there is already, it is refused, or dies before: neither may cost it. */
static void a_killed_builder_spares_what_was_there(void **state)
{
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	sup_discard(s, "web");
	for (int i = 0; i < ROUNDS; i++) {
		struct msg_container_create msg = {
			.tenant = TENANT, .container = "web", .disk = DISK_LIMITS_NONE};
		bool answered = false;
		pid_t builder;

		assert_done(s, sup_call(s, MSG_CONTAINER_CREATE, &msg, NULL, 0));
		send_start(s, "web", on_refused, &answered);
		while (!(builder = sup_youngest_child(s)) && !answered)
			sup_poll(s, 0);
		if (builder)
			kill(builder, SIGKILL);
		assert_false(is_running(s, "web"));
		assert_int_equal(sup_count_files(s, "state/pool/tenants/" TENANT), 1);
		assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	}
	sup_shutdown(s);
}

static void end_outer(pid_t builder)
{
	_cleanup_fclose_ FILE *children = NULL;
	char path[64];
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)builder, (int)builder);
	children = fopen(path, "re");
	/* The outer process is the first that it makes. */
	if (children && fscanf(children, "%d", &pid) == 1)
		kill(pid, SIGKILL);
}

/*
 * What the outer process had made in the pid namespace goes before init can: were it nobody's to
 * reap, the builder would wait for init until its time is over, which is longer than we wait.
 */
static void a_killed_outer_process_fails_the_start_at_once(void **state)
{
	struct sup *s = sup_begin(state);
	unsigned seed = 5;
	int lost = 0;

	assert_done(s, sup_tenant_set(s));
	/* On a busy host it is often too late: until one was in time. */
	for (int i = 0; i < ROUNDS || (!lost && i < 20 * ROUNDS); i++) {
		pid_t builder;

		send_start(s, "web", NULL, NULL);
		while (!(builder = sup_youngest_child(s)))
			sup_poll(s, 0);
		sleep_usec(next_delay_usec(&seed) + 500);
		end_outer(builder);
		if (is_running(s, "web")) {
			/* Without an outer process, init was the first child. */
			sup_discard_listed(s, "web");
			continue;
		}
		lost++;
		sup_wait_for_children(s, 0);
		sup_assert_nothing_left(s, true);
	}
	print_message("# killed %d outer processes in time\n", lost);
	assert_true(lost > 0);
	sup_shutdown(s);
}

/* Names are what a tenant chooses: none may look like the supervisor's own files. */
static void names_that_look_like_state_files_are_adopted(void **state)
{
	static const char *const names[] = {"bad", "new", "tmp"};
	struct sup *s = sup_begin(state);
	struct msg_started started[ARRAY_SIZE(names)];

	assert_done(s, sup_tenant_set(s));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_done(s, sup_run(s, names[i], FOREVER, &started[i]));
	restart(s);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(exec_sh(s, names[i], "true"), 0);
		assert_true(is_alive(started[i].pid));
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		sup_discard(s, names[i]);
	sup_shutdown(s);
}

static void an_orderly_end_leaves_containers_alone(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_started started;
	struct event event;
	char path[160];
	int status;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, &started));
	assert_int_equal(kill(s->pid, SIGTERM), 0);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, 0);
	s->pid = 0;
	sup_disconnect(s);
	assert_true(is_alive(started.pid));
	snprintf(path, sizeof(path), "%s/run/" SUPERVISOR_SOCKET, s->dir);
	assert_int_equal(access(path, F_OK), -1);
	sup_start(s);
	event = listed(s);
	assert_int_equal(event.u.container.started.pid, started.pid);
	close_event(&event);
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void a_second_supervisor_is_refused(void **state)
{
	struct sup *s = sup_begin(state);
	char path[128];
	int status;
	pid_t pid;

	assert_done(s, sup_tenant_set(s));
	snprintf(path, sizeof(path), "%s/state", s->dir);
	pid = fork();
	if (pid == 0) {
		char run[128];

		snprintf(run, sizeof(run), "%s/run", s->dir);
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		execl(getenv("CROFT_SUPERVISOR"), "croft-supervisor", "--state", path, "--run", run,
			"--cgroup-parent", s->parent, "--pool-driver", "plain", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	/* The first has not noticed. */
	sup_disconnect(s);
	sup_connect(s);
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(a_running_container_is_adopted),
		with_supervisor(an_adopted_end_waits_for_no_reaper),
		with_supervisor(one_that_ended_meanwhile_is_told_of_until_acknowledged),
		with_supervisor(an_ended_run_does_not_give_back_a_range_of_another),
		with_supervisor(killed_while_starting),
		with_supervisor(killed_while_ending),
		with_supervisor(a_killed_builder_leaves_nothing),
		with_supervisor(a_killed_builder_spares_what_was_there),
		with_supervisor(a_killed_outer_process_fails_the_start_at_once),
		with_supervisor(a_damaged_run_file_costs_that_run_only),
		with_supervisor(names_that_look_like_state_files_are_adopted),
		with_supervisor(an_orderly_end_leaves_containers_alone),
		with_supervisor(a_second_supervisor_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
