/* The usual requests to a supervisor under test; see supervisor_harness.h. */
#include "tests/integration/root/supervisor_harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void set_name(char out[static NAME_SIZE], const char *name)
{
	snprintf(out, NAME_SIZE, "%s", name);
}

int sup_tenant_set(struct sup *s)
{
	struct msg_tenant_set msg = {.tenant = TENANT};
	int r;

	limits_init(&msg.limits);
	msg.limits.value[LIMIT_MEMORY] = 512ull << 20;
	msg.limits.value[LIMIT_PIDS] = 200;
	r = sup_call(s, MSG_TENANT_SET, &msg, NULL, 0);
	sup_close_fds(s);
	return r;
}

struct msg_container_start sup_start_msg(struct sup *s, const char *container)
{
	struct msg_container_start msg = {
		.tenant = TENANT, .image = "busybox", .policy = "default", .create = 1};

	set_name(msg.container, container);
	snprintf(msg.run_id, sizeof(msg.run_id), "%032x", ++s->runs);
	limits_init(&msg.limits);
	return msg;
}

static int pack(struct sup *s, char **argv, const char *user, const char *dir)
{
	char *envp[] = {(char *)"PATH=/bin", (char *)"container=croft", NULL};
	struct spawn_args args = {.argv = argv, .envp = envp, .user = user, .working_dir = dir};
	int fd = -1;

	assert_done(s, spawn_args_pack(&args, &fd, &s->err));
	return fd;
}

int sup_start_container_as(
	struct sup *s, const struct msg_container_start *msg, char **argv, struct msg_started *ret)
{
	int fd = pack(s, argv, "", "");
	int r = sup_call(s, MSG_CONTAINER_START, msg, &fd, 1);

	close(fd);
	if (r == 0 && ret)
		memcpy(ret, s->reply, sizeof(*ret));
	return r;
}

int sup_run(struct sup *s, const char *container, const char *script, struct msg_started *ret)
{
	struct msg_container_start msg = sup_start_msg(s, container);
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};

	return sup_start_container_as(s, &msg, argv, ret);
}

int sup_container(struct sup *s, enum msg_op op, const char *container)
{
	struct msg_container msg = {.tenant = TENANT};

	set_name(msg.container, container);
	return sup_call(s, op, &msg, NULL, 0);
}

int sup_freeze(struct sup *s, const char *container, bool frozen)
{
	struct msg_freeze msg = {.tenant = TENANT, .frozen = frozen};

	set_name(msg.container, container);
	return sup_call(s, *container ? MSG_CONTAINER_FREEZE : MSG_TENANT_FREEZE, &msg, NULL, 0);
}

int sup_ack(struct sup *s, const struct msg_run_ended *ended)
{
	struct msg_run_ack msg = {0};

	memcpy(msg.tenant, ended->tenant, sizeof(msg.tenant));
	memcpy(msg.container, ended->container, sizeof(msg.container));
	memcpy(msg.run_id, ended->run_id, sizeof(msg.run_id));
	return sup_call(s, MSG_RUN_ACK, &msg, NULL, 0);
}

int sup_list(struct sup *s)
{
	struct msg_empty msg = {0};

	sup_drop_events(s);
	return sup_call(s, MSG_LIST, &msg, NULL, 0);
}

void sup_discard_listed(struct sup *s, const char *container)
{
	struct msg_run_ended ended;

	if (!sup_has_event(s, MSG_EVENT_RUN_ENDED)) {
		sup_discard(s, container);
		return;
	}
	ended = sup_ended(s, container);
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, container));
}

void sup_discard(struct sup *s, const char *container)
{
	struct msg_run_ended ended;

	assert_done(s, sup_container(s, MSG_CONTAINER_KILL, container));
	ended = sup_ended(s, container);
	assert_done(s, sup_ack(s, &ended));
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, container));
}

void sup_shutdown(struct sup *s)
{
	struct msg_tenant tenant = {.tenant = TENANT};
	struct msg_empty empty = {0};
	int status = -1;

	assert_done(s, sup_call(s, MSG_TENANT_REMOVE, &tenant, NULL, 0));
	assert_done(s, sup_call(s, MSG_SHUTDOWN, &empty, NULL, 0));
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	s->pid = 0;
	assert_int_equal(status, 0);
	sup_disconnect(s);
	assert_string_equal(sup_leftovers(s), "");
	assert_int_equal(sup_count_files(s, "state/supervisor/runs"), 0);
	assert_int_equal(sup_count_files(s, "state/pool/tenants"), 0);
}

int exec_wait(struct sup *s)
{
	struct msg_exec_started started;
	struct event event;

	memcpy(&started, s->reply, sizeof(started));
	event = sup_event(s, MSG_EVENT_EXEC_ENDED);
	assert_int_equal(event.u.exec_ended.exec_id, started.exec_id);
	if (event.u.exec_ended.exit.kind == EXIT_KIND_SIGNALLED)
		return EXEC_SIGNALED + event.u.exec_ended.exit.signal;
	assert_int_equal(event.u.exec_ended.exit.kind, EXIT_KIND_EXITED);
	return event.u.exec_ended.exit.status;
}

/* Reads to the end; whoever holds the other end is expected to let go of it. */
static void collect(struct sup *s, int fd)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;
	size_t n = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (sup_now_ms() > deadline)
			fail_msg("the command's output does not end");
		if (poll(&pfd, 1, 100) <= 0)
			continue;
		got = read(fd, s->output + n, sizeof(s->output) - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	s->output[n] = '\0';
}

int exec_as(struct sup *s, const char *container, const char *user, char **argv)
{
	struct msg_exec msg = {.tenant = TENANT};
	int fds[4];
	int out[2];
	int r;

	set_name(msg.container, container);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fds[0] = pack(s, argv, user, "");
	fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fds[2] = fds[3] = out[1];
	r = sup_call(s, MSG_EXEC, &msg, fds, 4);
	close(fds[0]);
	close(fds[1]);
	close(out[1]);
	s->output[0] = '\0';
	if (r == 0) {
		collect(s, out[0]);
		r = exec_wait(s);
	}
	close(out[0]);
	return r;
}

int exec_sh(struct sup *s, const char *container, const char *script)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};

	return exec_as(s, container, "", argv);
}

void sup_assert_nothing_left(struct sup *s, bool tenant)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;
	const char *left;

	do {
		sup_poll(s, 10);
		left = sup_leftovers(s);
	} while (strcmp(left, tenant ? "cgroup " : "") != 0 && sup_now_ms() < deadline);
	assert_string_equal(left, tenant ? "cgroup " : "");
}
