/* Workers: what one holds for as long as it runs is what its own work needs. */
#include "tests/integration/root/supervisor_harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define FOREVER "exec sleep 100000"
#define MIB	(UINT64_C(1) << 20)

/* An import whose archive does not come: its worker runs until the end of `hold` is closed. */
struct import {
	int hold;
	bool done;
};

static void on_imported(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct import *import = arg;

	(void)reply;
	(void)fds;
	(void)n_fds;
	assert_non_null(err);
	import->done = true;
}

static void send_import(struct sup *s, struct import *ret)
{
	struct msg_image msg = {
		.image = "slow", .limits = {.bytes = 64 * MIB, .entries = 100, .seconds = 120}};
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(supervisor_client_send(s->client, MSG_IMAGE_IMPORT, &msg, ends, 1,
				 on_imported, ret, &s->err),
		0);
	close(ends[0]);
	ret->hold = ends[1];
	ret->done = false;
}

static void end_import(struct sup *s, struct import *import)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;

	close(import->hold);
	while (!import->done) {
		assert_true(sup_now_ms() < deadline);
		sup_poll(s, 100);
	}
}

/* The pipes of one that is just starting are open in the supervisor when the import begins. */
static void a_slow_worker_holds_no_pipe_of_a_command(void **state)
{
	char *argv[] = {(char *)"/bin/echo", (char *)"done", NULL};
	struct spawn_args args = {.argv = argv, .envp = argv + 2, .user = "", .working_dir = ""};
	struct msg_exec msg = {.tenant = TENANT, .container = "web"};
	struct sup *s = sup_begin(state);
	struct import import;
	struct pollfd pfd;
	char text[16];
	int out[2];
	int fds[4];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	assert_int_equal(spawn_args_pack(&args, &fds[0], &s->err), 0);
	fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fds[2] = fds[3] = out[1];
	assert_int_equal(
		supervisor_client_send(s->client, MSG_EXEC, &msg, fds, 4, NULL, NULL, &s->err), 0);
	send_import(s, &import);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	pfd = (struct pollfd){.fd = out[0], .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	assert_int_equal(read(out[0], text, sizeof(text)), 5);
	/* And then its end, though the import has not come to one. */
	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	assert_int_equal(read(out[0], text, sizeof(text)), 0);
	close(out[0]);
	sup_event(s, MSG_EVENT_EXEC_ENDED);
	assert_false(import.done);
	end_import(s, &import);
	sup_discard(s, "web");
	sup_shutdown(s);
}

#define LINKS_MAX 256
struct links {
	char text[LINKS_MAX][96];
	size_t n;
};

/* Sockets, and what the loop waits with: those of the supervisor are nobody else's. */
static bool is_private(const char *link)
{
	return !strncmp(link, "socket:", 7) || strstr(link, "eventpoll") ||
	       strstr(link, "signalfd");
}

static void read_links(pid_t pid, struct links *ret)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char path[64];

	ret->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) && ret->n < LINKS_MAX) {
		char *text = ret->text[ret->n];
		ssize_t n;

		if (entry->d_name[0] == '.' || strlen(entry->d_name) < 1 ||
			strtol(entry->d_name, NULL, 10) <= STDERR_FILENO)
			continue;
		n = readlinkat(dirfd(dir), entry->d_name, text, sizeof(ret->text[0]) - 1);
		text[n < 0 ? 0 : n] = '\0';
		if (is_private(text))
			ret->n++;
	}
}

static void a_worker_holds_no_socket_of_the_supervisor(void **state)
{
	static struct links worker;
	static struct links own;
	struct sup *s = sup_begin(state);
	int64_t deadline = sup_now_ms() + WAIT_MS;
	struct import import;
	size_t shared;
	pid_t pid;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	pid = sup_youngest_child(s);
	send_import(s, &import);
	while (sup_youngest_child(s) == pid)
		sup_poll(s, 1);
	pid = sup_youngest_child(s);
	/* It closes what it does not need as the first thing, but that takes its time. */
	do {
		read_links(s->pid, &own);
		read_links(pid, &worker);
		shared = 0;
		for (size_t i = 0; i < worker.n; i++)
			for (size_t k = 0; k < own.n; k++)
				shared += !strcmp(worker.text[i], own.text[k]);
		assert_true(sup_now_ms() < deadline);
	} while (shared);
	assert_true(own.n > 3);
	assert_true(worker.n > 0);
	end_import(s, &import);
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* clone(CLONE_PARENT): the child is the caller's sibling, and so the supervisor's. */
#define MAKE_SIBLING "/bin/probe call 56 0x8011 0 0 0 0"

/* Only who may have made it is waited for: that is never an import, nor another container's. */
static void a_slow_worker_keeps_no_orphan_waiting(void **state)
{
	struct sup *s = sup_begin(state);
	struct import import;

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	sup_wait_for_children(s, 1);
	send_import(s, &import);
	sup_wait_for_children(s, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(exec_sh(s, "web", MAKE_SIBLING " > /dev/null"), 0);
	sup_wait_for_children(s, 2);
	assert_false(import.done);
	end_import(s, &import);
	sup_wait_for_children(s, 1);
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* Its id range and what it had unpacked are taken back before it is answered. */
static void a_killed_import_leaves_nothing(void **state)
{
	struct sup *s = sup_begin(state);
	int64_t deadline = sup_now_ms() + WAIT_MS;
	struct import import;

	assert_done(s, sup_tenant_set(s));
	for (int i = 0; i < 3; i++) {
		sup_wait_for_children(s, 0);
		send_import(s, &import);
		while (sup_ranges_held(s) != 1 || sup_count_files(s, "state/pool/incoming") != 1) {
			assert_true(sup_now_ms() < deadline);
			sup_poll(s, 1);
		}
		kill(sup_youngest_child(s), SIGKILL);
		end_import(s, &import);
		assert_int_equal(sup_ranges_held(s), 0);
		assert_int_equal(sup_count_files(s, "state/pool/incoming"), 0);
	}
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(a_slow_worker_holds_no_pipe_of_a_command),
		with_supervisor(a_killed_import_leaves_nothing),
		with_supervisor(a_slow_worker_keeps_no_orphan_waiting),
		with_supervisor(a_worker_holds_no_socket_of_the_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
