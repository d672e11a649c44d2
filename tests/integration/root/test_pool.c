/*
 * The life of a pool on the real kernel: attaching, from several places at once, images, hostile
 * trees, and the drivers' differences. Limits are in test_pool_limits.c.
 */
#include "tests/integration/root/pool_fixture.h"

#include "sandbox/loop.h"

#include <sys/statvfs.h>
#include <sys/wait.h>

static int loop_devices_of(struct fixture *f)
{
	char command[160];
	FILE *p;
	int n;

	snprintf(command, sizeof(command), "losetup -nl -j %s/pool.img | wc -l", f->dir);
	p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%d", &n), 1);
	pclose(p);
	return n;
}

static void attach_from_many_processes_makes_one_device(void **state)
{
	struct fixture *f = *state;
	pid_t pids[6];

	reattach(f);
	pool_close(f->pool);
	f->pool = NULL;
	assert_ok(f, pool_detach(&f->config, &f->err));
	unlinkat(f->config.state_fd, "pool.img", 0);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			/* Half of them in a mount namespace of their own: their mounts are theirs.
			 */
			if (i % 2 && unshare(CLONE_NEWNS) < 0)
				_exit(2);
			/* The parent's descriptor shares its lock: open the directory again. */
			f->config.state_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (pool_attach(&f->config, &f->pool, &f->err) < 0) {
				print_error("attach: %s\n", f->err.msg);
				_exit(1);
			}
			_exit(loop_devices_of(f) == 1 ? 0 : 3);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(loop_devices_of(f), 1);
	assert_ok(f, pool_attach(&f->config, &f->pool, &f->err));
	assert_int_equal(loop_devices_of(f), 1);
}

/* A child that has the pool mounted in a mount namespace where nobody else can see it. */
static pid_t hold_elsewhere(struct fixture *f, int *ret_hold)
{
	int ready[2];
	int hold[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		if (unshare(CLONE_NEWNS) < 0)
			_exit(3);
		f->config.state_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (pool_attach(&f->config, &f->pool, &f->err) < 0 ||
			pool_upper_make(f->pool, "acme", "web", DISK(LIMIT_UNSET), &f->err) < 0)
			_exit(1);
		if (write(ready[1], &c, 1) != 1 || read(hold[0], &c, 1) < 0)
			_exit(2);
		_exit(0);
	}
	close(ready[1]);
	close(hold[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*ret_hold = hold[1];
	return pid;
}

static void pool_mounted_only_elsewhere_is_found(void **state)
{
	struct fixture *f = *state;
	int status;
	int hold;
	int fd;
	pid_t pid;

	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(LIMIT_UNSET), &f->err));
	pool_close(f->pool);
	f->pool = NULL;
	assert_ok(f, pool_detach(&f->config, &f->err));
	pid = hold_elsewhere(f, &hold);
	assert_int_equal(loop_devices_of(f), 1);
	assert_ok(f, pool_attach(&f->config, &f->pool, &f->err));
	assert_int_equal(loop_devices_of(f), 1);
	/* The same file system, live: what the other made without a sync is there. */
	assert_ok(f, pool_upper_open(f->pool, "acme", "web", &fd, &f->err));
	close(fd);
	close(hold);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(loop_devices_of(f), 1);
}

static void detach_lets_the_device_go(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_devices_of(f), 1);
	pool_close(f->pool);
	f->pool = NULL;
	assert_ok(f, pool_detach(&f->config, &f->err));
	assert_int_equal(loop_devices_of(f), 0);
}

/* Somebody dies who still has it, or does not. */
static void detach_waits_for_the_dead(void **state)
{
	struct fixture *f = *state;
	int fd = openat(f->config.state_fd, "pool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid;

	assert_true(fd >= 0);
	pool_close(f->pool);
	f->pool = NULL;
	assert_int_equal(pool_detach(&f->config, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "POOL_BUSY");
	assert_int_equal(loop_devices_of(f), 1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		usleep(300 * 1000);
		_exit(0);
	}
	close(fd);
	assert_ok(f, pool_detach(&f->config, &f->err));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(loop_devices_of(f), 0);
}

static void images_are_published_whole(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_int_equal(pool_image_open(f->pool, "debian", &fd, &f->err), -ENOENT);
	assert_ok(f, pool_image_begin(f->pool, "debian", &fd, &f->err));
	assert_int_equal(mkdirat(fd, "left-over", 0755), 0);
	close(fd);
	assert_ok(f, pool_image_begin(f->pool, "debian", &fd, &f->err));
	assert_int_equal(faccessat(fd, "left-over", F_OK, 0), -1);
	assert_int_equal(write_file(fd, "file", 4096), 0);
	assert_int_equal(pool_image_open(f->pool, "debian", &(int){0}, &f->err), -ENOENT);
	assert_ok(f, pool_image_commit(f->pool, "debian", &f->err));
	if (!pool_copies(f->pool))
		assert_int_equal(write_file(fd, "late", 4096), -EROFS);
	close(fd);
	assert_ok(f, pool_image_open(f->pool, "debian", &fd, &f->err));
	assert_int_equal(faccessat(fd, "file", F_OK, 0), 0);
	close(fd);

	assert_ok(f, pool_image_begin(f->pool, "debian", &fd, &f->err));
	close(fd);
	assert_int_equal(pool_image_commit(f->pool, "debian", &f->err), -EEXIST);
	assert_string_equal(f->err.reason, "IMAGE_EXISTS");
	assert_ok(f, pool_image_abort(f->pool, "debian", &f->err));
	assert_ok(f, pool_image_abort(f->pool, "debian", &f->err));
	assert_ok(f, pool_image_remove(f->pool, "debian", &f->err));
	assert_ok(f, pool_image_remove(f->pool, "debian", &f->err));
	assert_int_equal(pool_image_open(f->pool, "debian", &fd, &f->err), -ENOENT);
}

static void pool_is_closed_to_host_users(void **state)
{
	struct fixture *f = *state;
	struct statvfs flags;
	struct stat st;
	char path[96];

	snprintf(path, sizeof(path), "%s/pool", f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(statvfs(path, &flags), 0);
	assert_true(flags.f_flag & ST_NOSUID);
	assert_true(flags.f_flag & ST_NODEV);
}

static void names_are_checked(void **state)
{
	static const char *const bad[] = {"", "..", "a/b", "-x", "tasks", "A"};
	struct fixture *f = *state;
	int fd;

	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(LIMIT_UNSET), &f->err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			pool_tenant_make(f->pool, bad[i], DISK(LIMIT_UNSET), &f->err), -EINVAL);
		assert_int_equal(
			pool_upper_make(f->pool, "acme", bad[i], DISK(LIMIT_UNSET), &f->err),
			-EINVAL);
		assert_int_equal(pool_upper_remove(f->pool, "acme", bad[i], &f->err), -EINVAL);
		assert_int_equal(pool_upper_open(f->pool, bad[i], "web", &fd, &f->err), -EINVAL);
		assert_int_equal(pool_image_begin(f->pool, bad[i], &fd, &f->err), -EINVAL);
		assert_int_equal(pool_image_remove(f->pool, bad[i], &f->err), -EINVAL);
	}
}

static void other_driver_is_refused(void **state)
{
	struct fixture *f = *state;
	struct pool_config config = f->config;
	struct pool *pool;

	strcpy(config.driver, strcmp(f->config.driver, "plain") ? "plain" : "btrfs");
	assert_int_equal(pool_attach(&config, &pool, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "POOL_DRIVER_MISMATCH");
	strcpy(config.driver, "zfs");
	assert_int_equal(pool_attach(&config, &pool, &f->err), -EINVAL);
}

static void refuses_limits(void **state)
{
	struct fixture *f = *state;
	struct disk_limits used;

	assert_false(pool_has_limits(f->pool));
	assert_int_equal(pool_tenant_make(f->pool, "acme", DISK(MIB), &f->err), -EOPNOTSUPP);
	assert_string_equal(f->err.reason, "DISK_LIMIT_UNSUPPORTED");
	/* A refusal makes nothing. */
	assert_int_equal(pool_usage(f->pool, "acme", "", &used, &f->err), -ENOENT);
	make_container(f, "acme", LIMIT_UNSET, "web", LIMIT_UNSET);
	assert_int_equal(
		pool_set_limit(f->pool, "acme", "web", DISK(MIB), false, &f->err), -EOPNOTSUPP);
	assert_ok(f, pool_usage(f->pool, "acme", "web", &used, &f->err));
	assert_int_equal(used.bytes, 0);
}

/* A tree that a tenant made to hurt whoever removes it. */
static void make_hostile_tree(int upper, const char *outside)
{
	int fd = dup(upper);

	/* Deeper than any path can say: 255-byte names, far beyond PATH_MAX. */
	for (int i = 0; i < 300; i++) {
		char name[NAME_MAX + 1];
		int next;

		memset(name, 'd', NAME_MAX);
		name[NAME_MAX] = '\0';
		assert_int_equal(mkdirat(fd, name, i % 2 ? 0000 : 0700), 0);
		assert_int_equal(symlinkat(outside, fd, "link"), 0);
		assert_int_equal(mkdirat(fd, ".croft-lifted-0", 0700), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(mkfifoat(upper, "fifo", 0600), 0);
	for (int i = 0; i < 500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "\n-rf %d", i);
		assert_int_equal(mkdirat(upper, name, 0), 0);
	}
}

static void hostile_trees_are_removed(void **state)
{
	struct fixture *f = *state;
	char outside[96];
	int upper;
	int fd;

	snprintf(outside, sizeof(outside), "%s/outside", f->dir);
	assert_int_equal(mkdir(outside, 0755), 0);
	fd = open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(write_file(fd, "precious", 4096), 0);

	make_container(f, "acme", LIMIT_UNSET, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	make_hostile_tree(upper, outside);
	close(upper);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_int_equal(pool_upper_open(f->pool, "acme", "web", &upper, &f->err), -ENOENT);
	assert_int_equal(faccessat(fd, "precious", F_OK, 0), 0);
	close(fd);
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
}

static void subvolumes_below_are_removed(void **state)
{
	struct fixture *f = *state;
	char command[256];
	int upper;

	/* Nobody should be able to make one, but if somebody did, removal must not hang on it. */
	make_container(f, "acme", LIMIT_UNSET, "web", LIMIT_UNSET);
	snprintf(command, sizeof(command),
		"cd %s/pool/tenants/acme/web/upper && mkdir d && "
		"btrfs -q subvolume create d/s && touch d/s/f && btrfs -q property set d/s ro true",
		f->dir);
	assert_int_equal(system(command), 0);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_int_equal(pool_upper_open(f->pool, "acme", "web", &upper, &f->err), -ENOENT);
}

#define on_btrfs(t) cmocka_unit_test_setup_teardown(t, setup_btrfs, teardown)
#define on_plain(t)                                                                                \
	{                                                                                          \
		"plain_" #t, t, setup_plain, teardown, NULL                                        \
	}

/* --- project --- */

/* The pool's file system is not mounted, or another one is: no second pool begins there. */
static void another_file_system_is_refused(void **state)
{
	struct fixture *f = *state;
	struct pool *pool;
	char command[256];

	pool_close(f->pool);
	f->pool = NULL;
	assert_ok(f, pool_detach(&f->config, &f->err));
	snprintf(command, sizeof(command), "mv %s/pool %s/away", f->dir, f->dir);
	assert_int_equal(system(command), 0);
	f->config.driver[0] = '\0';
	assert_int_equal(pool_attach(&f->config, &pool, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "POOL_MISMATCH");
	assert_ok(f, pool_detach(&f->config, &f->err));
	snprintf(command, sizeof(command), "rm -rf %s/pool && mv %s/away %s/pool", f->dir, f->dir,
		f->dir);
	assert_int_equal(system(command), 0);
	assert_ok(f, pool_attach(&f->config, &f->pool, &f->err));
}

/* The pool's directory may be the mount itself, in a state directory elsewhere. */
static void operators_own_mount(void **state)
{
	struct fixture *f = *state;
	struct fixture own = {.config = {.size_bytes = POOL_SIZE}};
	struct statvfs flags;
	char command[300];
	char path[96];

	pool_close(f->pool);
	f->pool = NULL;
	assert_ok(f, pool_detach(&f->config, &f->err));
	strcpy(own.dir, "/tmp/croft-test-pool-XXXXXX");
	assert_non_null(mkdtemp(own.dir));
	snprintf(command, sizeof(command), "mkdir %s/pool && mount --bind %s %s/pool", own.dir,
		f->dir, own.dir);
	assert_int_equal(system(command), 0);
	own.config.state_fd = open(own.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(&own, pool_attach(&own.config, &own.pool, &own.err));
	assert_string_equal(pool_driver(own.pool), "project");
	snprintf(path, sizeof(path), "%s/pool", own.dir);
	assert_int_equal(statvfs(path, &flags), 0);
	assert_true((flags.f_flag & ST_NOSUID) && (flags.f_flag & ST_NODEV));
	make_container(&own, "acme", 32 * MIB, "web", LIMIT_UNSET);
	pool_close(own.pool);
	own.pool = NULL;
	assert_ok(&own, pool_detach(&own.config, &own.err));
	/* Without it there is no pool, and no other driver steps in. */
	assert_true(pool_attach(&own.config, &own.pool, &own.err) < 0);
	assert_ok(&own, pool_detach(&own.config, &own.err));
	close(own.config.state_fd);
	assert_int_equal(remove_dir(own.dir), 0);
	assert_ok(f, pool_attach(&f->config, &f->pool, &f->err));
}

/* On a file system that does not count projects, it cannot be had. */
static void project_is_refused_without_quotas(void **state)
{
	char dir[] = "/tmp/croft-test-pool-XXXXXX";
	struct pool_config config = {.driver = "project"};
	struct pool *pool;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	config.state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(pool_attach(&config, &pool, &err), -EBUSY);
	assert_string_equal(err.reason, "POOL_NO_QUOTA");
	assert_null(strstr(err.msg, dir));
	strcpy(config.driver, "plain");
	assert_int_equal(pool_detach(&config, &err), 0);
	close(config.state_fd);
	assert_int_equal(remove_dir(dir), 0);
}

#define on_each_project(t) on_xfs(t), on_ext4(t)

static int run_project(void)
{
	struct CMUnitTest tests[] = {
		on_each_project(images_are_published_whole),
		on_each_project(pool_is_closed_to_host_users),
		on_each_project(names_are_checked),
		on_each_project(other_driver_is_refused),
		on_each_project(hostile_trees_are_removed),
		on_each_project(another_file_system_is_refused),
		on_each_project(operators_own_mount),
	};

	if (!skip_what_cannot_be(tests, ARRAY_SIZE(tests)))
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* With an argument: the driver `project`, on the file systems that it is for. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(project_is_refused_without_quotas),
		on_btrfs(attach_from_many_processes_makes_one_device),
		on_btrfs(pool_mounted_only_elsewhere_is_found),
		on_btrfs(detach_lets_the_device_go),
		on_btrfs(detach_waits_for_the_dead),
		on_btrfs(images_are_published_whole),
		on_btrfs(pool_is_closed_to_host_users),
		on_btrfs(names_are_checked),
		on_btrfs(other_driver_is_refused),
		on_btrfs(hostile_trees_are_removed),
		on_btrfs(subvolumes_below_are_removed),
		on_plain(refuses_limits),
		on_plain(images_are_published_whole),
		on_plain(pool_is_closed_to_host_users),
		on_plain(names_are_checked),
		on_plain(other_driver_is_refused),
		on_plain(hostile_trees_are_removed),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP mounting a pool needs root\n");
		return 0;
	}
	(void)argv;
	if (enter_mount_namespace() < 0)
		return 1;
	return argc > 1 ? run_project() : cmocka_run_group_tests(tests, NULL, NULL);
}
