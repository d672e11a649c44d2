/*
 * Counting forks on the real kernel: each is counted once, for the container that it was begun in,
 * whatever that does about its pids; and who reads the table cannot write to it.
 */
#include "tests/integration/root/cgroup_fixture.h"

#include "base/cleanup.h"
#include "sandbox/fork_count.h"

#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>

#define DEPTH 2 /* of a container, below the parent */
#define FORKS 100

static struct fork_count *count;

static int setup(void **state)
{
	return fixture_setup(state, "croft-test-forks");
}

static int teardown(void **state)
{
	fork_count_close(count);
	count = NULL;
	return fixture_teardown(state);
}

static uint64_t begin(struct fixture *f)
{
	int depth = cgroup_root_depth(f->root);
	uint64_t id;

	assert_true(depth >= 1);
	assert_ok(f, fork_count_open((unsigned)depth + DEPTH, &count, &f->err));
	assert_int_equal(cgroup_inode(f->root, &f->web, &id), 0);
	assert_int_equal(fork_count_add(count, id), 0);
	return id;
}

static int ask(int command, uint64_t id, uint64_t *value)
{
	union bpf_attr attr = {.map_fd = (uint32_t)fork_count_fd(count),
		.key = (uintptr_t)&id,
		.value = (uintptr_t)value};

	return syscall(SYS_bpf, command, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static uint64_t counted(uint64_t id)
{
	uint64_t value = UINT64_MAX;

	assert_int_equal(ask(BPF_MAP_LOOKUP_ELEM, id, &value), 0);
	return value;
}

static int fork_often(void *arg)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t chosen = 1000;

	if (arg) {
		args.set_tid = (uintptr_t)&chosen;
		args.set_tid_size = 1;
	}
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

static void *nothing(void *arg)
{
	return arg;
}

static int start_threads(void *arg)
{
	(void)arg;
	for (int i = 0; i < FORKS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
			return 1;
	}
	return 0;
}

/* Its first process is begun outside, by who starts it. */
static void processes_and_threads_are_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t id = begin(f);

	assert_int_equal(counted(id), 0);
	assert_int_equal(run_in(f, &f->web, fork_often, NULL), 0);
	assert_int_equal(counted(id), FORKS);
	assert_int_equal(run_in(f, &f->web, start_threads, NULL), 0);
	assert_int_equal(counted(id), 2 * FORKS);
}

static void a_neighbour_is_not(void **state)
{
	struct fixture *f = *state;
	uint64_t id = begin(f);
	uint64_t other;
	uint64_t value;

	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	assert_int_equal(cgroup_inode(f->root, &f->db, &other), 0);
	assert_int_equal(run_in(f, &f->db, fork_often, NULL), 0);
	assert_int_equal(counted(id), 0);
	assert_int_equal(ask(BPF_MAP_LOOKUP_ELEM, other, &value), -ENOENT);
	assert_int_equal(fork_count_add(count, other), 0);
	assert_int_equal(run_in(f, &f->db, fork_often, NULL), 0);
	assert_int_equal(counted(other), FORKS);
	assert_int_equal(counted(id), 0);
	fork_count_remove(count, other);
	assert_int_equal(ask(BPF_MAP_LOOKUP_ELEM, other, &value), -ENOENT);
}

/* In a pid namespace of its own, as root of which it chooses each pid (clone(2), set_tid). */
static int choose_pids(void *arg)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(fork_often(arg));
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)
		       ? 1
		       : WEXITSTATUS(status);
}

/* That is how the cursor of its pid namespace would not move. */
static void who_chooses_its_pids_is_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t id = begin(f);
	int yes = 1;

	assert_int_equal(run_in(f, &f->web, choose_pids, &yes), 0);
	assert_int_equal(counted(id), FORKS + 1);
}

static void who_reads_cannot_write(void **state)
{
	struct fixture *f = *state;
	uint64_t id = begin(f);
	uint64_t value = 5;

	assert_int_equal(ask(BPF_MAP_UPDATE_ELEM, id, &value), -EPERM);
	assert_int_equal(ask(BPF_MAP_DELETE_ELEM, id, NULL), -EPERM);
	assert_int_equal(counted(id), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processes_and_threads_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_neighbour_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(who_chooses_its_pids_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(who_reads_cannot_write, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
