/* A container's life through the supervisor's socket: start, exec, freeze, limits, the end. */
#include "tests/integration/root/supervisor_harness.h"

#include "base/clock.h"
#include "base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#define FOREVER "exec sleep 100000"

static size_t n_counter_dirs(struct sup *s)
{
	return counters_n_dirs(supervisor_client_cgroup_kind(s->client));
}

/* Reads what the container has written so far, waiting for the first of it. */
static void read_stdout(int fd, char *out, size_t size)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	n = read(fd, out, size - 1);
	assert_true(n > 0);
	out[n] = '\0';
}

static void a_container_lives_and_is_accounted_for(void **state)
{
	struct sup *s = sup_begin(state);
	uint64_t before = clock_boot_usec();
	struct msg_run_ended ended;
	struct msg_started started;
	char out[64];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web",
			       "echo hello; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; "
			       "exit 7",
			       &started));
	assert_int_equal(s->n_fds, n_counter_dirs(s) + 2);
	assert_true(started.pid > 1);
	assert_true(started.id_base >= 0x70000000);
	assert_in_range(started.start_boot_usec, before, clock_boot_usec());
	read_stdout(s->fds[n_counter_dirs(s)], out, sizeof(out));
	assert_string_equal(out, "hello\n");
	ended = sup_ended(s, "web");
	assert_string_equal(ended.tenant, TENANT);
	assert_string_equal(ended.run_id, started.run_id);
	assert_int_equal(ended.exit.kind, EXIT_KIND_EXITED);
	assert_int_equal(ended.exit.status, 7);
	assert_int_equal(ended.counters_valid, 1);
	assert_true(ended.counters.cpu_usec > 0);
	assert_true(ended.counters.memory_peak_bytes > 0);
	assert_int_equal(ended.start_boot_usec, started.start_boot_usec);
	assert_true(ended.end_boot_usec >= ended.start_boot_usec);
	assert_true(ended.counters.cpu_usec <= 2 * (clock_boot_usec() - before));
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

static void what_a_container_wrote_stays_with_it(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_container_start msg;
	struct msg_container_create create = {
		.tenant = TENANT, .container = "web", .disk = DISK_LIMITS_NONE};
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)"cat /data && " FOREVER, NULL};
	struct msg_run_ended ended;
	char out[64];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_call(s, MSG_CONTAINER_CREATE, &create, NULL, 0));
	msg = sup_start_msg(s, "web");
	msg.create = 0;
	argv[2] = (char *)"echo kept > /data; chown 7:8 /data";
	assert_done(s, sup_start_container_as(s, &msg, argv, NULL));
	ended = sup_ended(s, "web");
	/* Not before its last run is acknowledged. */
	msg = sup_start_msg(s, "web");
	msg.create = 0;
	assert_refused(s, sup_start_container_as(s, &msg, argv, NULL), "CONTAINER_RUNNING");
	assert_refused(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"), "CONTAINER_RUNNING");
	assert_done(s, sup_ack(s, &ended));
	/* An existing disk is not made again, and stays. */
	msg.create = 1;
	assert_refused(s, sup_start_container_as(s, &msg, argv, NULL), "CONTAINER_EXISTS");
	msg.create = 0;
	argv[2] = (char *)"stat -c '%u %g' /data; cat /data; " FOREVER;
	assert_done(s, sup_start_container_as(s, &msg, argv, NULL));
	read_stdout(s->fds[n_counter_dirs(s)], out, sizeof(out));
	assert_memory_equal(out, "7 8\n", 4);
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void a_running_container_is_not_started_twice(void **state)
{
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_refused(s, sup_run(s, "web", FOREVER, NULL), "CONTAINER_RUNNING");
	assert_int_equal(exec_sh(s, "web", "true"), 0);
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void a_start_that_cannot_be_is_refused_and_leaves_nothing(void **state)
{
	struct sup *s = sup_begin(state);
	char *argv[] = {(char *)"/bin/nothing", NULL};
	struct msg_container_start msg = sup_start_msg(s, "web");

	assert_refused(s, sup_start_container_as(s, &msg, argv, NULL), "TENANT_NOT_READY");
	assert_done(s, sup_tenant_set(s));
	msg = sup_start_msg(s, "web");
	assert_refused(s, sup_start_container_as(s, &msg, argv, NULL), "INIT_NOT_EXECUTED");
	argv[0] = (char *)"/bin/sh";
	strcpy(msg.image, "no-such-image");
	assert_true(sup_start_container_as(s, &msg, argv, NULL) < 0);
	msg = sup_start_msg(s, "web");
	strcpy(msg.policy, "no-such-policy");
	assert_refused(s, sup_start_container_as(s, &msg, argv, NULL), "POLICY_NOT_FOUND");
	msg = sup_start_msg(s, "web");
	msg.limits.value[LIMIT_MEMORY] = 1ull << 40;
	assert_refused(s, sup_start_container_as(s, &msg, argv, NULL), "LIMIT_ABOVE_TENANT");
	msg = sup_start_msg(s, "web");
	msg.limits.value[LIMIT_DISK] = 64ull << 20;
	assert_refused(s, sup_start_container_as(s, &msg, argv, NULL), "DISK_LIMIT_UNSUPPORTED");
	msg = sup_start_msg(s, "web");
	msg.create = 0;
	assert_true(sup_start_container_as(s, &msg, argv, NULL) < 0);
	assert_int_equal(sup_ranges_held(s), 0);
	assert_int_equal(sup_count_files(s, "run/fifos"), 0);
	assert_int_equal(sup_count_files(s, "state/supervisor/runs"), 0);
	assert_int_equal(sup_count_files(s, "state/pool/tenants/" TENANT), 0);
	/* The control: the same name can be started. */
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* Two at one time must not get one range: their files and processes would be each other's. */
static void containers_started_together_have_ranges_of_their_own(void **state)
{
	enum { N = 12 };
	struct sup *s = sup_begin(state);
	uint32_t bases[N];
	char *argv[] = {(char *)"/bin/sleep", (char *)"100000", NULL};
	struct spawn_args args = {.argv = argv, .envp = argv + 2, .user = "", .working_dir = ""};
	char name[NAME_SIZE];
	int fd = -1;
	int n;

	assert_done(s, sup_tenant_set(s));
	assert_int_equal(spawn_args_pack(&args, &fd, &s->err), 0);
	for (int i = 0; i < N; i++) {
		struct msg_container_start msg;

		snprintf(name, sizeof(name), "c%d", i);
		msg = sup_start_msg(s, name);
		assert_int_equal(supervisor_client_send(s->client, MSG_CONTAINER_START, &msg, &fd,
					 1, NULL, NULL, &s->err),
			0);
	}
	close(fd);
	/* Answered when nothing is being started any more. */
	do {
		assert_done(s, sup_list(s));
		n = 0;
		for (size_t i = 0; i < s->n_events; i++)
			if (s->events[i].op == MSG_EVENT_CONTAINER &&
				s->events[i].u.container.state == RUN_RUNNING && n < N)
				bases[n++] = s->events[i].u.container.started.id_base;
	} while (n < N);
	for (int i = 0; i < N; i++)
		for (int k = 0; k < i; k++)
			assert_int_not_equal(bases[i], bases[k]);
	assert_int_equal(sup_ranges_held(s), N);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		sup_discard(s, name);
	}
	sup_shutdown(s);
}

static void commands_say_how_they_ended(void **state)
{
	char *missing[] = {(char *)"no-such-command", NULL};
	char *unfit[] = {(char *)"/bin/not-executable", NULL};
	char *id[] = {(char *)"id", NULL};
	char *pwd[] = {(char *)"sh", (char *)"-c", (char *)"pwd; echo $HOME $USER", NULL};
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(exec_sh(s, "web", "echo out; echo err >&2; exit 3"), 3);
	assert_string_equal(s->output, "out\nerr\n");
	assert_int_equal(exec_sh(s, "web", "exit 255"), 255);
	assert_int_equal(exec_sh(s, "web", "kill -SEGV $$"), EXEC_SIGNALED + SIGSEGV);
	assert_int_equal(exec_as(s, "web", "", missing), EXEC_REFUSED);
	assert_string_equal(s->err.reason, "EXEC_NOT_FOUND");
	assert_int_equal(exec_as(s, "web", "", unfit), EXEC_REFUSED);
	assert_string_equal(s->err.reason, "EXEC_NOT_EXECUTABLE");
	assert_int_equal(exec_as(s, "web", "nobody", id), EXEC_REFUSED);
	assert_string_equal(s->err.reason, "EXEC_NO_USER");
	assert_int_equal(exec_as(s, "web", "65535", id), EXEC_REFUSED);
	assert_int_equal(exec_as(s, "web", "user", id), 0);
	assert_string_equal(s->output, "uid=1000(user) gid=1000(user) "
				       "groups=2000(extra)\n");
	assert_int_equal(exec_as(s, "web", "4711", id), 0);
	assert_string_equal(s->output, "uid=4711 gid=4711\n");
	assert_int_equal(exec_as(s, "web", "user", pwd), 0);
	assert_string_equal(s->output, "/home/user\n/home/user user\n");
	assert_int_equal(exec_as(s, "none", "", id), EXEC_REFUSED);
	assert_string_equal(s->err.reason, "CONTAINER_NOT_RUNNING");
	sup_discard(s, "web");
	sup_shutdown(s);
}

static int args_memfd(char **argv, const char *working_dir)
{
	char *envp[] = {(char *)"PATH=/bin", NULL};
	struct spawn_args args = {
		.argv = argv, .envp = envp, .user = "", .working_dir = working_dir};
	int fd = -1;

	assert_int_equal(spawn_args_pack(&args, &fd, NULL), 0);
	return fd;
}

static int exec_tty(struct sup *s, char **argv, const char *dir)
{
	struct msg_exec msg = {
		.tenant = TENANT, .container = "web", .tty = 1, .rows = 33, .columns = 111};
	int fd = args_memfd(argv, dir);
	int r = sup_call(s, MSG_EXEC, &msg, &fd, 1);

	close(fd);
	return r;
}

/* Until the other side has hung up. */
static void read_tty(int fd, char *out, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n < size - 1 && (got = read(fd, out + n, size - 1 - n)) > 0)
		n += (size_t)got;
	out[n] = '\0';
}

static void a_terminal_is_a_terminal(void **state)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
		(char *)"tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; "
			"echo own > /dev/tty; pwd; echo $TERM",
		NULL};
	struct sup *s = sup_begin(state);
	char out[256];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_done(s, exec_tty(s, argv, "/tmp"));
	assert_int_equal(s->n_fds, 1);
	read_tty(s->fds[0], out, sizeof(out));
	assert_int_equal(exec_wait(s), 0);
	assert_string_equal(out, "/dev/pts/1\r\n33 111\r\nall\r\nown\r\n/tmp\r\nxterm\r\n");
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void a_terminal_hangs_up_and_resizes(void **state)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
		(char *)"trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done", NULL};
	char *waiting[] = {(char *)"sleep", (char *)"100000", NULL};
	struct winsize size = {.ws_row = 5, .ws_col = 6};
	struct sup *s = sup_begin(state);
	char out[64];
	int slave;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_done(s, exec_tty(s, argv, ""));
	read_stdout(s->fds[0], out, sizeof(out));
	assert_string_equal(out, "ready\r\n");
	/* What came by the socket is a terminal whose other end can be had without a name. */
	slave = ioctl(s->fds[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_true(isatty(slave));
	close(slave);
	assert_int_equal(ioctl(s->fds[0], TIOCSWINSZ, &size), 0);
	read_stdout(s->fds[0], out, sizeof(out));
	assert_string_equal(out, "5 6\r\n");
	close_fd(&s->fds[0]);
	assert_int_equal(exec_wait(s), EXEC_SIGNALED + SIGHUP);
	assert_done(s, exec_tty(s, waiting, ""));
	/* As when the user types ^C. */
	assert_int_equal(write(s->fds[0], "\003", 1), 1);
	assert_int_equal(exec_wait(s), EXEC_SIGNALED + SIGINT);
	assert_true(exec_tty(s, waiting, "/no/such/directory") < 0);
	assert_string_equal(s->err.reason, "EXEC_NO_DIRECTORY");
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* Whatever a tenant puts where the terminals are is not opened for it. */
static void a_forged_terminal_is_refused(void **state)
{
	char *argv[] = {(char *)"true", NULL};
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(
		exec_sh(s, "web", "mount -t tmpfs none /dev/pts && touch /dev/pts/ptmx"), 0);
	/* In the command's own mount namespace it is init's: seen by the next command too. */
	assert_true(exec_tty(s, argv, "") < 0);
	assert_string_equal(s->err.reason, "EXEC_NO_TERMINAL");
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void signals_arrive(void **state)
{
	struct msg_signal msg = {.tenant = TENANT, .container = "web", .signal = SIGTERM};
	struct msg_exec_signal to_exec = {.signal = SIGUSR1};
	struct msg_exec_started started;
	char *waiting[] = {(char *)"sleep", (char *)"100000", NULL};
	struct msg_run_ended ended;
	struct sup *s = sup_begin(state);
	char out[32];
	int master;
	int out_fd;

	assert_done(s, sup_tenant_set(s));
	assert_done(
		s, sup_run(s, "web", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done",
			   NULL));
	out_fd = s->fds[n_counter_dirs(s)];
	read_stdout(out_fd, out, sizeof(out));
	assert_done(s, exec_tty(s, waiting, ""));
	memcpy(&started, s->reply, sizeof(started));
	master = take_fd(&s->fds[0]);
	to_exec.exec_id = started.exec_id;
	assert_done(s, sup_call(s, MSG_EXEC_SIGNAL, &to_exec, NULL, 0));
	memcpy(s->reply, &started, sizeof(started));
	assert_int_equal(exec_wait(s), EXEC_SIGNALED + SIGUSR1);
	close(master);
	assert_refused(s, sup_call(s, MSG_EXEC_SIGNAL, &to_exec, NULL, 0), "EXEC_ENDED");
	to_exec.signal = 0;
	assert_refused(s, sup_call(s, MSG_EXEC_SIGNAL, &to_exec, NULL, 0), "INVALID_SIGNAL");
	msg.signal = 1000;
	assert_refused(s, sup_call(s, MSG_CONTAINER_SIGNAL, &msg, NULL, 0), "INVALID_SIGNAL");
	msg.signal = SIGTERM;
	assert_done(s, sup_call(s, MSG_CONTAINER_SIGNAL, &msg, NULL, 0));
	ended = sup_ended(s, "web");
	assert_int_equal(ended.exit.kind, EXIT_KIND_EXITED);
	assert_int_equal(ended.exit.status, 9);
	assert_refused(
		s, sup_call(s, MSG_CONTAINER_SIGNAL, &msg, NULL, 0), "CONTAINER_NOT_RUNNING");
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

static enum run_state listed_state(struct sup *s)
{
	struct event event;

	assert_done(s, sup_list(s));
	event = sup_event(s, MSG_EVENT_CONTAINER);
	for (size_t i = 0; i < event.n_fds; i++)
		close(event.fds[i]);
	return event.u.container.state;
}

static void a_frozen_container_stands_still(void **state)
{
	char *id[] = {(char *)"true", NULL};
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(listed_state(s), RUN_RUNNING);
	assert_done(s, sup_freeze(s, "web", true));
	assert_int_equal(listed_state(s), RUN_FROZEN);
	assert_int_equal(exec_as(s, "web", "", id), EXEC_REFUSED);
	assert_string_equal(s->err.reason, "CONTAINER_FROZEN");
	assert_done(s, sup_freeze(s, "web", false));
	assert_int_equal(exec_as(s, "web", "", id), 0);
	/* A whole tenant: what runs stands still, and nothing new starts. */
	assert_done(s, sup_freeze(s, "", true));
	assert_int_equal(exec_as(s, "web", "", id), EXEC_REFUSED);
	assert_string_equal(s->err.reason, "CONTAINER_FROZEN");
	assert_refused(s, sup_run(s, "db", FOREVER, NULL), "TENANT_SUSPENDED");
	assert_done(s, sup_freeze(s, "", false));
	assert_int_equal(exec_as(s, "web", "", id), 0);
	/* And a frozen one can be killed. */
	assert_done(s, sup_freeze(s, "web", true));
	sup_discard(s, "web");
	sup_shutdown(s);
}

static int set_limits(struct sup *s, uint64_t memory, uint64_t pids, bool force)
{
	struct msg_limits msg = {.tenant = TENANT, .container = "web", .running = 1};

	limits_init(&msg.limits);
	msg.force = force;
	msg.limits.value[LIMIT_MEMORY] = memory;
	msg.limits.value[LIMIT_PIDS] = pids;
	return sup_call(s, MSG_CONTAINER_LIMITS, &msg, NULL, 0);
}

static void limits_change_while_it_runs(void **state)
{
	char *fork_many[] = {(char *)"sh", (char *)"-c",
		(char *)"for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait", NULL};
	char *eat[] = {(char *)"/bin/probe", (char *)"eat", (char *)"67108864", (char *)"0", NULL};
	struct sup *s = sup_begin(state);
	int r;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(exec_as(s, "web", "", fork_many), 0);
	assert_null(strstr(s->output, "fork"));
	assert_int_equal(exec_as(s, "web", "", eat), 0);
	assert_done(s, set_limits(s, 32ull << 20, 6, false));
	exec_as(s, "web", "", fork_many);
	assert_non_null(strstr(s->output, "can't fork"));
	/* Its children stay, as this init reaps none; entering takes room for two processes. */
	assert_done(s, set_limits(s, 32ull << 20, 16, false));
	/* What was forked before holds the room for a while yet. */
	for (int64_t deadline = sup_now_ms() + WAIT_MS;;) {
		r = exec_as(s, "web", "", eat);
		if (r != EXEC_REFUSED)
			break;
		assert_string_equal(s->err.reason, "PIDS_LIMIT");
		assert_true(sup_now_ms() < deadline);
	}
	assert_int_equal(r, EXEC_SIGNALED + SIGKILL);
	assert_true(sup_event(s, MSG_EVENT_LIMIT_HIT).u.limit_hit.counters.cpu_usec > 0);
	assert_refused(s, set_limits(s, 1ull << 40, 6, false), "LIMIT_ABOVE_TENANT");
	assert_refused(s, set_limits(s, 1, 6, false), "LIMIT_INVALID");
	/* The control: raised again, both go through. */
	assert_done(s, set_limits(s, 256ull << 20, 100, false));
	assert_int_equal(exec_as(s, "web", "", fork_many), 0);
	assert_int_equal(exec_as(s, "web", "", eat), 0);
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* The supervisor is the parent of commands: what it does not reap keeps the container alive. */
static void refused_commands_leave_no_process(void **state)
{
	char *missing[] = {(char *)"no-such-command", NULL};
	struct sup *s = sup_begin(state);
	char path[64];
	char children[4096];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	for (int i = 0; i < 20; i++)
		assert_int_equal(exec_as(s, "web", "", missing), EXEC_REFUSED);
	sup_discard(s, "web");
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", s->pid, s->pid);
	/* With nothing running, it has no child, dead or alive. */
	for (int64_t deadline = sup_now_ms() + WAIT_MS;;) {
		assert_true(fd_read_text_at(AT_FDCWD, path, children, sizeof(children)) >= 0);
		if (!*children)
			break;
		if (sup_now_ms() > deadline)
			fail_msg("children left: %s", children);
		sup_poll(s, 10);
	}
	sup_shutdown(s);
}

static void the_host_is_not_left_while_it_is_in_use(void **state)
{
	struct msg_tenant tenant = {.tenant = TENANT};
	struct msg_empty empty = {0};
	struct msg_run_ended ended;
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_refused(s, sup_call(s, MSG_SHUTDOWN, &empty, NULL, 0), "HOST_BUSY");
	assert_true(sup_call(s, MSG_TENANT_REMOVE, &tenant, NULL, 0) < 0);
	assert_int_equal(exec_sh(s, "web", "true"), 0);
	assert_done(s, sup_container(s, MSG_CONTAINER_KILL, "web"));
	ended = sup_ended(s, "web");
	assert_int_equal(ended.exit.kind, EXIT_KIND_SIGNALLED);
	assert_int_equal(ended.exit.signal, SIGKILL);
	/* Its counters are not anybody's yet. */
	assert_refused(s, sup_call(s, MSG_SHUTDOWN, &empty, NULL, 0), "HOST_BUSY");
	assert_done(s, sup_ack(s, &ended));
	assert_true(sup_call(s, MSG_TENANT_REMOVE, &tenant, NULL, 0) < 0);
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	sup_shutdown(s);
}

static void the_host_and_its_policies_are_told(void **state)
{
	struct msg_policy policy = {.policy = "default"};
	struct msg_empty empty = {0};
	struct msg_host_info info;
	struct sup *s = sup_begin(state);
	struct event event;
	char c = 0;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_call(s, MSG_HOST_INFO, &empty, NULL, 0));
	memcpy(&info, s->reply, sizeof(info));
	assert_true(info.cpus > 0);
	assert_string_equal(info.pool_driver, "plain");
	assert_int_equal(info.pool_has_limits, 0);
	assert_true(info.pool_size_bytes > info.pool_used_bytes);
	assert_done(s, sup_call(s, MSG_POLICY_LIST, &empty, NULL, 0));
	event = sup_event(s, MSG_EVENT_POLICY);
	assert_string_equal(event.u.policy.policy, "default");
	assert_int_equal(event.u.policy.err.code, ERR_OK);
	assert_true(event.u.policy.instructions > 0);
	assert_done(s, sup_call(s, MSG_POLICY_OPEN, &policy, NULL, 0));
	assert_int_equal(s->n_fds, 1);
	assert_int_equal(read(s->fds[0], &c, 1), 1);
	assert_int_equal(write(s->fds[0], &c, 1), -1);
	strcpy(policy.policy, "none");
	assert_refused(s, sup_call(s, MSG_POLICY_OPEN, &policy, NULL, 0), "POLICY_NOT_FOUND");
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(a_container_lives_and_is_accounted_for),
		with_supervisor(what_a_container_wrote_stays_with_it),
		with_supervisor(a_running_container_is_not_started_twice),
		with_supervisor(a_start_that_cannot_be_is_refused_and_leaves_nothing),
		with_supervisor(containers_started_together_have_ranges_of_their_own),
		with_supervisor(commands_say_how_they_ended),
		with_supervisor(a_terminal_is_a_terminal),
		with_supervisor(a_terminal_hangs_up_and_resizes),
		with_supervisor(a_forged_terminal_is_refused),
		with_supervisor(signals_arrive),
		with_supervisor(a_frozen_container_stands_still),
		with_supervisor(limits_change_while_it_runs),
		with_supervisor(refused_commands_leave_no_process),
		with_supervisor(the_host_is_not_left_while_it_is_in_use),
		with_supervisor(the_host_and_its_policies_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
