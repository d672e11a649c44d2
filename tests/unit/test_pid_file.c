/*
 * The lock of a daemon's pid file: of one that runs, and of one that died.
 */
#include "base/pid_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "test.pid"

struct fixture {
	char path[64];
	int dir;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/croft-test-pid-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlinkat(f->dir, NAME, 0);
	close(f->dir);
	rmdir(f->path);
	free(f);
	return 0;
}

static int take(struct fixture *f)
{
	int fd = -1;

	return pid_file_take(f->dir, NAME, "a test", &fd, &f->err);
}

/* A daemon that says when it has the lock; with a child that has its descriptors. */
static pid_t start_daemon(struct fixture *f, pid_t *ret_child)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pid_t child = take(f) < 0 ? -1 : fork();

		if (child && write(ends[1], &child, sizeof(child)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], ret_child, sizeof(*ret_child)), sizeof(*ret_child));
	assert_true(*ret_child > 0);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void one_at_a_time(void **state)
{
	struct fixture *f = *state;
	char text[32] = "";
	pid_t child;
	pid_t pid = start_daemon(f, &child);
	int fd;

	assert_int_equal(take(f), -EBUSY);
	assert_string_equal(f->err.reason, "ALREADY_RUNNING");
	assert_non_null(strstr(f->err.msg, "a test runs"));
	fd = openat(f->dir, NAME, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_int_equal(atoi(text), pid);
	close(fd);
	kill(child, SIGKILL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_a_dead_one_leaves_holds_nothing(void **state)
{
	struct fixture *f = *state;
	pid_t child;
	pid_t pid = start_daemon(f, &child);

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(take(f), 0);
	kill(child, SIGKILL);
}

/* Takes and removes it so often; the result is how often somebody else had it at the same time. */
static int take_and_remove(struct fixture *f, int times)
{
	int both = 0;

	while (times) {
		int fd = -1;
		int mark;

		if (pid_file_take(f->dir, NAME, "a test", &fd, &f->err) < 0)
			continue;
		mark = openat(f->dir, "mark", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		both += mark < 0;
		close_fd(&mark);
		unlinkat(f->dir, "mark", 0);
		pid_file_remove(f->dir, NAME, &fd);
		times--;
	}
	return both;
}

/* Who opens it just before it is removed locks a file that has no name any more. */
static void removed_while_another_comes_it_is_never_held_twice(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(take_and_remove(f, 2000) > 0);
	assert_int_equal(take_and_remove(f, 2000), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(faccessat(f->dir, NAME, F_OK, 0), -1);
}

static void a_link_is_not_followed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(symlinkat("target", f->dir, NAME), 0);
	assert_int_equal(take(f), -ELOOP);
	assert_int_equal(faccessat(f->dir, "target", F_OK, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_a_dead_one_leaves_holds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			removed_while_another_comes_it_is_never_held_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_is_not_followed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
