/*
 * What the cgroup tests share: a parent of their own with a tenant and a container in it, and
 * processes that run in the container. Everything is killed and removed at the end of each test.
 */
#pragma once

#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define SYSFS	  "/sys/fs/cgroup"
#define MIB	  (UINT64_C(1) << 20)
#define WAIT_MS	  (60 * 1000) /* a deadline; the cgroup v2 machine is emulated */
#define PROCESSES 16

struct fixture {
	char parent[64];
	struct cgroup_root *root;
	struct cgroup_id tenant;
	struct cgroup_id web;
	struct cgroup_id db;
	struct limits limits;
	struct err err;
	pid_t pids[PROCESSES];
	size_t n_pids;
};

#define assert_ok(f, call)                                                                         \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		if (r_ != 0)                                                                       \
			fail_msg("%s: %d: %s", #call, r_, (f)->err.msg);                           \
	} while (0)

#define assert_refused(f, call, why, what)                                                         \
	do {                                                                                       \
		memset(&(f)->err, 0, sizeof((f)->err));                                            \
		assert_true((call) < 0);                                                           \
		assert_string_equal((f)->err.reason, why);                                         \
		assert_string_equal((f)->err.subject, what);                                       \
	} while (0)

static inline bool is_v2(const struct fixture *f)
{
	return cgroup_root_kind(f->root) == CGROUP_UNIFIED;
}

static inline int destroy_one(const struct cgroup_id *id, void *arg, struct err *err)
{
	struct cgroup_root *root = arg;
	int r;

	cgroup_thaw(root, id, NULL);
	cgroup_kill(root, id, NULL);
	r = cgroup_wait_empty(root, id, WAIT_MS, err);
	return r < 0 ? r : cgroup_remove(root, id, err);
}

static inline void reap_all(struct fixture *f)
{
	for (size_t i = 0; i < f->n_pids; i++) {
		kill(f->pids[i], SIGKILL);
		waitpid(f->pids[i], NULL, 0);
	}
	f->n_pids = 0;
}

/* name: of the test; its parent is named by the process, too, so that two runs don't meet. */
static inline int fixture_setup(void **state, const char *name)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->parent, sizeof(f->parent), "%s-%d", name, (int)getpid());
	strncpy(f->tenant.tenant, "acme", NAME_LEN_MAX);
	f->web = f->db = f->tenant;
	strncpy(f->web.container, "web", NAME_LEN_MAX);
	strncpy(f->db.container, "db", NAME_LEN_MAX);
	limits_init(&f->limits);
	if (cgroup_root_open(SYSFS, f->parent, &f->root, &f->err) < 0 ||
		cgroup_for_each(f->root, destroy_one, f->root, &f->err) < 0 ||
		cgroup_make(f->root, &f->tenant, &f->err) < 0 ||
		cgroup_make(f->root, &f->web, &f->err) < 0) {
		print_error("setup: %s\n", f->err.msg);
		return -1;
	}
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	int r;

	if (!f->root)
		return 0;
	reap_all(f);
	r = cgroup_for_each(f->root, destroy_one, f->root, &f->err);
	if (r == 0)
		r = cgroup_root_remove(f->root, &f->err);
	if (r < 0)
		print_error("teardown: %s\n", f->err.msg);
	cgroup_root_close(f->root);
	free(f);
	return r;
}

/* Reads a control file of id's own directory (not payload's). */
static inline const char *read_file(const struct fixture *f, enum cgroup_controller controller,
	const struct cgroup_id *id, const char *file)
{
	static char text[CGROUP_TEXT_MAX];
	char dir[CGROUP_DIR_SIZE];

	assert_int_equal(cgroup_dir_of(id, dir, NULL), 0);
	if (cgroup_read_text(f->root, controller, dir, file, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "<%s>", strerror(errno));
	return text;
}

static inline struct counters read_counters(struct fixture *f, const struct cgroup_id *id)
{
	struct counter_files *files;
	struct io_disk disk = cgroup_io_disk(f->root);
	struct counters counters;
	int dirs[COUNTER_DIR_N];
	size_t n = counters_n_dirs(cgroup_root_kind(f->root));

	assert_ok(f, cgroup_open_dirs(f->root, id, dirs, &f->err));
	assert_ok(f, counter_files_open(cgroup_root_kind(f->root), COUNTERS_OF_CONTAINER, dirs,
			     &disk, &files, &f->err));
	assert_ok(f, counters_read(files, &counters, &f->err));
	counter_files_close(files);
	for (size_t i = 0; i < n; i++)
		close(dirs[i]);
	return counters;
}

/*
 * Runs fn(arg) in the container's payload and then _exit()s with its result. Returns the pid, or
 * -errno when the container is full: by clone3 (v2), or told by the child through the pipe (v1).
 */
static inline pid_t spawn_in(
	struct fixture *f, const struct cgroup_id *id, int (*fn)(void *arg), void *arg)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	struct cgroup_join join;
	int joined[2];
	int result;
	pid_t pid;

	assert_ok(f, cgroup_join_open(f->root, id, &join, &f->err));
	assert_int_equal(pipe2(joined, O_CLOEXEC), 0);
	if (join.into_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)join.into_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		pid = -errno;
	if (pid == 0) {
		result = cgroup_join_self(&join);
		if (write(joined[1], &result, sizeof(result)) != sizeof(result) || result < 0)
			_exit(100);
		_exit(fn(arg));
	}
	close(joined[1]);
	result = pid;
	if (pid > 0) {
		assert_int_equal(read(joined[0], &result, sizeof(result)), sizeof(result));
		if (result < 0)
			waitpid(pid, NULL, 0);
	}
	close(joined[0]);
	cgroup_join_close(&join);
	if (result < 0)
		return result;
	assert_true(f->n_pids < PROCESSES);
	f->pids[f->n_pids++] = pid;
	return pid;
}

/* Waits for the newest process. */
static inline int wait_last(struct fixture *f)
{
	int status = -1;
	pid_t pid;

	assert_true(f->n_pids > 0);
	pid = f->pids[--f->n_pids];
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline int run_in(
	struct fixture *f, const struct cgroup_id *id, int (*fn)(void *arg), void *arg)
{
	pid_t pid = spawn_in(f, id, fn, arg);
	int status;

	if (pid < 0)
		return pid;
	status = wait_last(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Uses this much CPU time, however slow the machine. */
static inline void burn_cpu(uint64_t usec)
{
	uint64_t start = 0;

	for (;;) {
		struct timespec t;
		uint64_t now;

		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
		if (!start)
			start = now;
		if (now - start > usec)
			return;
	}
}

static inline int do_pause(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}
