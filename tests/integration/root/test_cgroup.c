/*
 * Cgroups on the real kernel, whichever driver it has: directories, counters, joining, freezing,
 * killing, devices, and removal of what a hostile init left. The limits are in
 * test_cgroup_limits.c.
 */
#include "tests/integration/root/cgroup_fixture.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

static int setup(void **state)
{
	return fixture_setup(state, "croft-test-cgroup");
}

static int count_one(const struct cgroup_id *id, void *arg, struct err *err)
{
	(void)id;
	(void)err;
	++*(int *)arg;
	return 0;
}

static void test_makes_finds_and_removes(void **state)
{
	struct fixture *f = *state;
	struct cgroup_id leaf = f->tenant;
	struct cgroup_id stray = {"nobody", "web"};
	struct cgroup_id bad = {"acme", "../web"};
	int n = 0;

	strncpy(leaf.container, "_croft", NAME_LEN_MAX);
	assert_ok(f, cgroup_make(f->root, &leaf, &f->err));
	assert_ok(f, cgroup_make(f->root, &f->web, &f->err));
	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	assert_refused(f, cgroup_make(f->root, &stray, &f->err), "CGROUP_NOT_FOUND", "");
	assert_refused(f, cgroup_make(f->root, &bad, &f->err), "INVALID_NAME", "container");
	assert_false(cgroup_exists(f->root, &stray));
	assert_refused(f, cgroup_set_limits(f->root, &stray, &f->limits, false, false, &f->err),
		"CGROUP_NOT_FOUND", "");
	assert_ok(f, cgroup_for_each(f->root, count_one, &n, &f->err));
	assert_int_equal(n, 3); /* the tenant and two containers; _croft is part of the tenant */
	assert_refused(f, cgroup_remove(f->root, &f->tenant, &f->err), "CGROUP_BUSY", "");
	assert_true(cgroup_exists(f->root, &f->web));
	assert_ok(f, cgroup_remove(f->root, &f->web, &f->err));
	assert_ok(f, cgroup_remove(f->root, &f->web, &f->err));
	assert_ok(f, cgroup_remove(f->root, &f->db, &f->err));
	assert_false(cgroup_exists(f->root, &f->web));
	assert_refused(f, cgroup_root_remove(f->root, &f->err), "CGROUP_BUSY", "");
	assert_ok(f, cgroup_remove(f->root, &f->tenant, &f->err));
	assert_false(cgroup_exists(f->root, &f->tenant));
	assert_ok(f, cgroup_root_remove(f->root, &f->err));
	assert_ok(f, cgroup_root_remove(f->root, &f->err));
}

/* A restarted supervisor opens the same parent and finds what the first one made. */
static void test_opens_again(void **state)
{
	struct fixture *f = *state;
	struct cgroup_root *again;

	for (int i = 0; i < 70; i++) { /* more than a cgroup may have programs (64) */
		assert_ok(f, cgroup_root_open(SYSFS, f->parent, &again, &f->err));
		assert_ok(f, cgroup_make(again, &f->web, &f->err));
		assert_ok(f, cgroup_set_devices(again, &f->web, &f->err));
		cgroup_root_close(again);
	}
	assert_true(cgroup_exists(f->root, &f->web));
}

/* On v2 a container passes two on to payload, and that none. */
static void test_leaves_foreign_controllers_alone(void **state)
{
	struct fixture *f = *state;

	if (!is_v2(f)) {
		assert_int_equal(
			cgroup_read_text(f->root, CGROUP_CORE, "", "cgroup.subtree_control",
				(char[CGROUP_TEXT_MAX]){0}, CGROUP_TEXT_MAX),
			0);
		return;
	}
	assert_string_equal(
		read_file(f, CGROUP_CORE, &f->web, "cgroup.subtree_control"), "cpu memory");
	assert_string_equal(
		read_file(f, CGROUP_CORE, &f->web, "payload/cgroup.subtree_control"), "");
}

static int do_work(void *arg)
{
	size_t size = 8 * MIB;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	memset(p, 1, size);
	burn_cpu(120 * 1000);
	if (write(*(int *)arg, "", 1) != 1)
		return 1;
	return do_pause(NULL);
}

static void test_counts_use(void **state)
{
	struct fixture *f = *state;
	struct counter_files *files;
	struct counters c;
	int dirs[COUNTER_DIR_N];
	int ready[2];
	char byte;

	c = read_counters(f, &f->web);
	assert_int_equal(c.cpu_usec, 0);
	assert_int_equal(c.pids, 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_true(spawn_in(f, &f->web, do_work, &ready[1]) > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	c = read_counters(f, &f->web);
	assert_int_equal(c.pids, 1);
	assert_true(c.cpu_usec >= 100000);
	assert_true(c.memory_bytes >= 8 * MIB);
	assert_true(c.memory_working_set_bytes >= 8 * MIB);
	assert_true(c.memory_working_set_bytes <= c.memory_bytes);
	assert_true(c.memory_peak_bytes >= c.memory_bytes || c.memory_peak_bytes >= 8 * MIB);
	assert_true(c.pids_peak == UINT64_MAX || c.pids_peak >= 1);
	assert_int_equal(c.oom_kills, 0);
	assert_int_equal(c.pids_denied, 0);
	/* The tenant's own directory holds the sum. */
	assert_true(read_counters(f, &f->tenant).cpu_usec >= c.cpu_usec);

	assert_ok(f, cgroup_open_dirs(f->root, &f->web, dirs, &f->err));
	assert_ok(f, counter_files_open(cgroup_root_kind(f->root), COUNTERS_OF_CONTAINER, dirs,
			     NULL, &files, &f->err));
	reap_all(f);
	assert_ok(f, cgroup_wait_empty(f->root, &f->web, WAIT_MS, &f->err));
	assert_ok(f, counters_read(files, &c, &f->err));
	assert_int_equal(c.pids, 0);
	assert_true(c.cpu_usec >= 100000);
	assert_ok(f, cgroup_remove(f->root, &f->web, &f->err));
	assert_int_equal(counters_read(files, &c, NULL), -ENODEV);
	counter_files_close(files);
	for (size_t i = 0; i < counters_n_dirs(cgroup_root_kind(f->root)); i++)
		close(dirs[i]);
	close(ready[0]);
	close(ready[1]);
}

static void wait_frozen(struct fixture *f)
{
	struct timespec pause_time = {.tv_nsec = 5 * 1000000L};

	for (int i = 0; i < WAIT_MS / 5 && cgroup_is_frozen(f->root, &f->web) == 0; i++)
		nanosleep(&pause_time, NULL);
	assert_int_equal(cgroup_is_frozen(f->root, &f->web), 1);
}

static void test_freezes_and_kills(void **state)
{
	struct fixture *f = *state;
	struct cgroup_id nobody = {"nobody", ""};

	assert_true(spawn_in(f, &f->web, do_pause, NULL) > 0);
	assert_true(spawn_in(f, &f->web, do_pause, NULL) > 0);
	assert_int_equal(cgroup_is_frozen(f->root, &f->web), 0);
	assert_int_equal(cgroup_is_told_to_freeze(f->root, &f->web), 0);
	assert_ok(f, cgroup_freeze(f->root, &f->web, &f->err));
	/* At once, whether all of it stands still yet or not. */
	assert_int_equal(cgroup_is_told_to_freeze(f->root, &f->web), 1);
	wait_frozen(f);
	assert_ok(f, cgroup_thaw(f->root, &f->web, &f->err));
	assert_int_equal(cgroup_is_frozen(f->root, &f->web), 0);
	assert_int_equal(cgroup_is_told_to_freeze(f->root, &f->web), 0);
	assert_true(cgroup_is_told_to_freeze(f->root, &nobody) < 0);
	assert_int_equal(cgroup_wait_empty(f->root, &f->web, 20, &f->err), -ETIMEDOUT);
	assert_refused(f, cgroup_remove(f->root, &f->web, &f->err), "CGROUP_BUSY", "");
	/* A frozen container dies all the same. */
	assert_ok(f, cgroup_freeze(f->root, &f->web, &f->err));
	wait_frozen(f);
	assert_ok(f, cgroup_kill(f->root, &f->web, &f->err));
	assert_int_equal(WTERMSIG(wait_last(f)), SIGKILL);
	assert_int_equal(WTERMSIG(wait_last(f)), SIGKILL);
	assert_ok(f, cgroup_wait_empty(f->root, &f->web, WAIT_MS, &f->err));
	assert_ok(f, cgroup_wait_empty(f->root, &nobody, WAIT_MS, &f->err));
	assert_refused(f, cgroup_kill(f->root, &nobody, &f->err), "CGROUP_NOT_FOUND", "");
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* /dev/kmsg and a loop device are there on every host, and never a tenant's. */
static int do_open_devices(void *arg)
{
	char path[] = "/tmp/croft-test-node-XXXXXX";
	int fd;

	(void)arg;
	if (try_open("/dev/null", O_RDWR) || try_open("/dev/zero", O_RDONLY) ||
		try_open("/dev/urandom", O_RDONLY))
		return 1;
	if (try_open("/dev/kmsg", O_RDONLY) != EPERM)
		return 2;
	fd = mkstemp(path);
	if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
		return 3;
	if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0 || errno != EPERM)
		return 4;
	if (mknod(path, S_IFBLK | 0600, makedev(7, 0)) == 0 || errno != EPERM)
		return 5;
	return 0;
}

static void test_denies_devices(void **state)
{
	struct fixture *f = *state;

	/* The control: outside, root of the host can do what is refused inside. */
	assert_int_equal(do_open_devices(NULL), 2);
	assert_ok(f, cgroup_set_devices(f->root, &f->web, &f->err));
	assert_int_equal(run_in(f, &f->web, do_open_devices, NULL), 0);
	assert_ok(f, cgroup_set_devices(f->root, &f->web, &f->err));
	assert_int_equal(run_in(f, &f->web, do_open_devices, NULL), 0);
}

/* The hierarchy in which a container's init may make directories. */
static int hostile_dir(const struct fixture *f)
{
	enum cgroup_controller c = is_v2(f) || f->root->hierarchy[CGROUP_SYSTEMD] < 0
					   ? CGROUP_CORE
					   : CGROUP_SYSTEMD;

	return openat(cgroup_hierarchy_fd(f->root, c), "acme/web/payload",
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void make_chain(int top, size_t depth, char letter)
{
	char name[200];
	int fd = dup(top);

	memset(name, letter, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < depth; i++) {
		int next;

		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

static void test_removes_a_hostile_tree(void **state)
{
	struct fixture *f = *state;
	int fd = hostile_dir(f);
	char name[32];

	assert_true(fd >= 0);
	make_chain(fd, 60, 'd'); /* its path has 12,000 bytes */
	make_chain(fd, 30, '\001');
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "wide %d\\", i);
		assert_int_equal(mkdirat(fd, name, 0755), 0);
	}
	close(fd);
	assert_ok(f, cgroup_remove(f->root, &f->web, &f->err));
	assert_false(cgroup_exists(f->root, &f->web));
}

static int do_count_dirs(void *arg)
{
	int n = 0;
	char name[32];

	if (setgid(77777) < 0 || setuid(77777) < 0)
		return 255;
	do
		snprintf(name, sizeof(name), "x%d", n++);
	while (mkdirat(*(int *)arg, name, 0755) == 0 && n < 2000);
	if (errno != EAGAIN && errno != EACCES)
		return 254;
	return n >= 2000 ? 253 : n > 200 ? 1 : 0;
}

static uid_t owner_of(const struct fixture *f, const char *file)
{
	char path[CGROUP_FILE_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "acme/web/payload/%s", file);
	assert_int_equal(fstatat(f->root->fd[0], path, &st, 0), 0);
	return st.st_uid;
}

/* Which controllers payload has in the cgroup2 tree; those before nesting it keeps. */
static void assert_payload_has(const struct fixture *f, const char *wanted)
{
	char text[256];
	ssize_t n = cgroup_read_text(
		f->root, CGROUP_CORE, "acme/web/payload", "cgroup.controllers", text, sizeof(text));

	assert_true(n >= 0);
	assert_string_equal(text, is_v2(f) ? wanted : "");
}

static void test_delegates_controllers_with_nesting_alone(void **state)
{
	struct fixture *f = *state;

	assert_ok(f, cgroup_delegate(f->root, &f->web, 77777, 77777, false, &f->err));
	assert_payload_has(f, "cpu memory");
	assert_int_equal(owner_of(f, "cgroup.procs"), 77777);
	assert_int_equal(owner_of(f, "cgroup.subtree_control"), 0);
	assert_ok(f, cgroup_delegate(f->root, &f->web, 77777, 77777, true, &f->err));
	assert_payload_has(f, "cpuset cpu memory pids");
	assert_int_equal(owner_of(f, "cgroup.subtree_control"), 77777);
	if (is_v2(f)) {
		assert_int_equal(owner_of(f, "memory.max"), 0);
		assert_int_equal(owner_of(f, "cpu.max"), 0);
	}
}

static void test_delegates_only_what_it_must(void **state)
{
	struct fixture *f = *state;
	const char *payload = "acme/web/payload";
	struct stat st;
	int fd;

	assert_ok(f, cgroup_delegate(f->root, &f->web, 77777, 77777, false, &f->err));
	assert_refused(
		f, cgroup_delegate(f->root, &f->tenant, 1, 1, false, &f->err), "INVALID_NAME", "");
	for (size_t i = 0; i < f->root->n_hierarchies; i++) {
		bool given = i == 0 || (int)i == f->root->hierarchy[CGROUP_SYSTEMD];

		assert_int_equal(fstatat(f->root->fd[i], payload, &st, 0), 0);
		assert_int_equal(st.st_uid, given ? 77777 : 0);
		assert_int_equal(fstatat(f->root->fd[i], "acme/web", &st, 0), 0);
		assert_int_equal(st.st_uid, 0);
	}
	/* As many directories as the bound says. */
	fd = openat(f->root->fd[0], payload, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(run_in(f, &f->web, do_count_dirs, &fd), 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_makes_finds_and_removes, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_opens_again, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			test_leaves_foreign_controllers_alone, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_counts_use, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_freezes_and_kills, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_denies_devices, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			test_removes_a_hostile_tree, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			test_delegates_only_what_it_must, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			test_delegates_controllers_with_nesting_alone, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
