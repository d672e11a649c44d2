/*
 * Pools on the real kernel: limits that hold, also through an overlay, removal, and what survives
 * a restart. Runs in a mount namespace of its own, so that nothing is left when it dies.
 */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "base/limits.h"
#include "sandbox/loop.h"
#include "sandbox/pool.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

#define MIB	    (1ull << 20)
#define POOL_SIZE   (768 * MIB)
#define FREE_WAIT_S 90 /* the kernel drops subvolumes in the background */

struct fixture {
	char dir[64];
	struct pool_config config;
	struct pool *pool;
	struct err err;
};

#define assert_ok(f, call)                                                                         \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		if (r_ != 0)                                                                       \
			fail_msg("%s: %d: %s", #call, r_, (f)->err.msg);                           \
	} while (0)

static int setup_driver(void **state, const char *driver)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, "/tmp/croft-test-pool-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->config.state_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	strcpy(f->config.driver, driver);
	f->config.size_bytes = POOL_SIZE;
	if (pool_attach(&f->config, &f->pool, &f->err) < 0) {
		print_error("attach: %s\n", f->err.msg);
		return -1;
	}
	return 0;
}

static int setup_btrfs(void **state)
{
	return setup_driver(state, "btrfs");
}

static int setup_plain(void **state)
{
	return setup_driver(state, "plain");
}

static int remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", dir);
	return system(command);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int r;

	pool_close(f->pool);
	r = pool_detach(&f->config, &f->err);
	if (r < 0)
		print_error("detach: %s\n", f->err.msg);
	close(f->config.state_fd);
	if (r == 0)
		r = remove_dir(f->dir);
	free(f);
	return r;
}

/* Writes up to size bytes; returns 0 or the error of the write that failed. */
static int write_file(int dirfd, const char *name, uint64_t size)
{
	static char block[64 * 1024];
	_cleanup_close_ int fd = openat(
		dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = 0;

	if (fd < 0)
		return -errno;
	for (uint64_t done = 0; done < size && r == 0; done += sizeof(block))
		r = fd_write_full(fd, block, sizeof(block));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int open_upper(struct fixture *f, const char *tenant, const char *container)
{
	_cleanup_close_ int fd = -1;
	int upper;

	assert_ok(f, pool_upper_open(f->pool, tenant, container, &fd, &f->err));
	upper = openat(fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(upper >= 0);
	return upper;
}

static void make_container(struct fixture *f, const char *tenant, uint64_t tenant_bytes,
	const char *name, uint64_t bytes)
{
	assert_ok(f, pool_tenant_make(f->pool, tenant, tenant_bytes, &f->err));
	assert_ok(f, pool_upper_make(f->pool, tenant, name, bytes, &f->err));
}

static void container_limit_holds(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_container(f, "acme", LIMIT_UNSET, "web", 16 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "fits", 8 * MIB), 0);
	assert_int_equal(write_file(upper, "big", 64 * MIB), -EDQUOT);

	/* The control: without its limit the same write goes through. */
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", LIMIT_UNSET, false, &f->err));
	assert_int_equal(write_file(upper, "big", 64 * MIB), 0);
}

static void tenant_limit_holds_over_its_containers(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int a = -1;
	_cleanup_close_ int b = -1;
	_cleanup_close_ int other = -1;

	make_container(f, "acme", 32 * MIB, "a", 24 * MIB);
	make_container(f, "acme", 32 * MIB, "b", 24 * MIB);
	make_container(f, "other", 32 * MIB, "a", LIMIT_UNSET);
	a = open_upper(f, "acme", "a");
	b = open_upper(f, "acme", "b");
	other = open_upper(f, "other", "a");
	assert_int_equal(write_file(a, "file", 20 * MIB), 0);
	assert_int_equal(write_file(b, "file", 20 * MIB), -EDQUOT);
	assert_int_equal(write_file(other, "file", 20 * MIB), 0);
	assert_int_equal(write_file(other, "more", 20 * MIB), -EDQUOT);

	assert_ok(f, pool_tenant_make(f->pool, "acme", 64 * MIB, &f->err));
	assert_int_equal(write_file(b, "file", 20 * MIB), 0);
	/* ... and b's own limit is still there. */
	assert_int_equal(write_file(b, "more", 20 * MIB), -EDQUOT);
}

static int mount_overlay(struct fixture *f, const char *tenant, const char *container)
{
	_cleanup_close_ int layer = -1;
	char options[256];
	char lower[96];
	char merged[96];
	int fd;

	snprintf(lower, sizeof(lower), "%s/lower", f->dir);
	snprintf(merged, sizeof(merged), "%s/merged-%s", f->dir, container);
	mkdir(lower, 0755);
	mkdir(merged, 0755);
	assert_ok(f, pool_upper_open(f->pool, tenant, container, &layer, &f->err));
	snprintf(options, sizeof(options),
		"lowerdir=%s,upperdir=/proc/self/fd/%d/upper,workdir=/proc/self/fd/%d/work", lower,
		layer, layer);
	assert_int_equal(mount("overlay", merged, "overlay", 0, options), 0);
	fd = open(merged, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void unmount_overlay(struct fixture *f, const char *container)
{
	char merged[96];

	snprintf(merged, sizeof(merged), "%s/merged-%s", f->dir, container);
	assert_int_equal(umount(merged), 0);
}

static void limits_hold_through_an_overlay(void **state)
{
	struct fixture *f = *state;
	int a;
	int b;

	make_container(f, "acme", 32 * MIB, "a", 16 * MIB);
	make_container(f, "acme", 32 * MIB, "b", LIMIT_UNSET);
	a = mount_overlay(f, "acme", "a");
	b = mount_overlay(f, "acme", "b");
	assert_int_equal(write_file(a, "file", 12 * MIB), 0);
	assert_int_equal(write_file(a, "more", 12 * MIB), -EDQUOT);
	/* Who is at the limit can still delete. */
	assert_int_equal(unlinkat(a, "more", 0), 0);
	assert_int_equal(write_file(b, "file", 12 * MIB), 0);
	assert_int_equal(write_file(b, "more", 20 * MIB), -EDQUOT);
	close(a);
	close(b);
	unmount_overlay(f, "a");
	unmount_overlay(f, "b");
}

static void many_small_files_count(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	int r = 0;

	/* Metadata is limited too: else a tenant fills the pool with empty files. */
	make_container(f, "acme", LIMIT_UNSET, "web", 4 * MIB);
	upper = open_upper(f, "acme", "web");
	for (int i = 0; i < 200000 && r == 0; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "file-%d", i);
		fd = openat(upper, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			r = -errno;
		else
			close(fd);
		if (i % 1000 == 0)
			syncfs(upper);
	}
	assert_int_equal(r, -EDQUOT);
}

static uint64_t exact_usage(struct fixture *f, const char *tenant, const char *container)
{
	uint64_t bytes;
	char path[96];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/pool", f->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(syncfs(fd), 0);
	assert_ok(f, pool_usage(f->pool, tenant, container, &bytes, &f->err));
	return bytes;
}

static void usage_is_measured(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	uint64_t bytes;

	make_container(f, "acme", LIMIT_UNSET, "web", 64 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_true(exact_usage(f, "acme", "web") < MIB);
	assert_int_equal(write_file(upper, "file", 20 * MIB), 0);
	bytes = exact_usage(f, "acme", "web");
	assert_in_range(bytes, 20 * MIB, 21 * MIB);
	assert_in_range(exact_usage(f, "acme", ""), bytes, bytes + MIB);
}

static void limit_below_use_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_container(f, "acme", LIMIT_UNSET, "web", 64 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 20 * MIB), 0);
	assert_int_equal(pool_set_limit(f->pool, "acme", "web", 10 * MIB, false, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "LIMIT_BELOW_USE");
	assert_non_null(strstr(f->err.msg, "10 MiB"));
	assert_int_equal(pool_set_limit(f->pool, "acme", "", 10 * MIB, false, &f->err), -EBUSY);
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", 10 * MIB, true, &f->err));
	assert_int_equal(write_file(upper, "more", MIB), -EDQUOT);
}

/* Waits until the tenant uses less than `bytes`; the kernel frees in the background. */
static bool wait_usage_below(struct fixture *f, const char *tenant, uint64_t bytes)
{
	for (time_t end = time(NULL) + FREE_WAIT_S; time(NULL) < end; usleep(50 * 1000))
		if (exact_usage(f, tenant, "") < bytes)
			return true;
	return false;
}

static void removal_gives_the_space_back(void **state)
{
	struct fixture *f = *state;
	int upper;

	make_container(f, "acme", 64 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 48 * MIB), 0);
	close(upper);
	assert_int_equal(pool_tenant_remove(f->pool, "acme", &f->err), -EBUSY);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_int_equal(pool_upper_open(f->pool, "acme", "web", &upper, &f->err), -ENOENT);
	assert_true(wait_usage_below(f, "acme", MIB));

	make_container(f, "acme", 64 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 48 * MIB), 0);
	close(upper);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
	assert_int_equal(pool_usage(f->pool, "acme", "", &(uint64_t){0}, &f->err), -ENOENT);
}

static void full_tenant_can_be_managed(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	int r = 0;

	make_container(f, "acme", 4 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 16 * MIB), -EDQUOT);
	for (int i = 0; i < 200000 && r == 0; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dir-%d", i);
		r = mkdirat(upper, name, 0755) < 0 ? -errno : 0;
		if (i % 1000 == 0)
			syncfs(upper);
	}
	assert_int_equal(r, -EDQUOT);
	close_fd(&upper);
	assert_ok(f, pool_tenant_make(f->pool, "acme", 3 * MIB, &f->err));
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", 2 * MIB, true, &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
}

static void reattach(struct fixture *f)
{
	pool_close(f->pool);
	f->pool = NULL;
	assert_ok(f, pool_detach(&f->config, &f->err));
	assert_ok(f, pool_detach(&f->config, &f->err));
	assert_ok(f, pool_attach(&f->config, &f->pool, &f->err));
}

static void limits_survive_a_new_attach(void **state)
{
	struct fixture *f = *state;
	int upper;

	make_container(f, "acme", 32 * MIB, "a", 16 * MIB);
	make_container(f, "acme", 32 * MIB, "b", LIMIT_UNSET);
	upper = open_upper(f, "acme", "a");
	assert_int_equal(write_file(upper, "file", 10 * MIB), 0);
	close(upper);
	f->config.driver[0] = '\0'; /* the pool that is there is the one that is used */
	reattach(f);
	assert_string_equal(pool_driver(f->pool), "btrfs");
	upper = open_upper(f, "acme", "a");
	assert_int_equal(write_file(upper, "more", 10 * MIB), -EDQUOT);
	unlinkat(upper, "more", 0);
	close(upper);
	upper = open_upper(f, "acme", "b");
	assert_int_equal(write_file(upper, "file", 30 * MIB), -EDQUOT);
	close(upper);
}

static void numbers_used_again_bring_no_old_limit(void **state)
{
	struct fixture *f = *state;
	int upper;

	/* btrfs hands out the last subvolume's number again after a mount. */
	make_container(f, "acme", 8 * MIB, "web", 4 * MIB);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
	reattach(f);
	make_container(f, "next", LIMIT_UNSET, "web", LIMIT_UNSET);
	upper = open_upper(f, "next", "web");
	assert_int_equal(write_file(upper, "file", 32 * MIB), 0);
	close(upper);
}

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
			pool_upper_make(f->pool, "acme", "web", LIMIT_UNSET, &f->err) < 0)
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

	assert_ok(f, pool_tenant_make(f->pool, "acme", LIMIT_UNSET, &f->err));
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
	if (pool_has_limits(f->pool))
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

	assert_ok(f, pool_tenant_make(f->pool, "acme", LIMIT_UNSET, &f->err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(pool_tenant_make(f->pool, bad[i], LIMIT_UNSET, &f->err), -EINVAL);
		assert_int_equal(
			pool_upper_make(f->pool, "acme", bad[i], LIMIT_UNSET, &f->err), -EINVAL);
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
	uint64_t bytes;

	assert_false(pool_has_limits(f->pool));
	assert_int_equal(pool_tenant_make(f->pool, "acme", MIB, &f->err), -EOPNOTSUPP);
	assert_string_equal(f->err.reason, "DISK_LIMIT_UNSUPPORTED");
	/* A refusal makes nothing. */
	assert_int_equal(pool_usage(f->pool, "acme", "", &bytes, &f->err), -ENOENT);
	make_container(f, "acme", LIMIT_UNSET, "web", LIMIT_UNSET);
	assert_int_equal(pool_set_limit(f->pool, "acme", "web", MIB, false, &f->err), -EOPNOTSUPP);
	assert_ok(f, pool_usage(f->pool, "acme", "web", &bytes, &f->err));
	assert_int_equal(bytes, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_btrfs(container_limit_holds),
		on_btrfs(tenant_limit_holds_over_its_containers),
		on_btrfs(limits_hold_through_an_overlay),
		on_btrfs(many_small_files_count),
		on_btrfs(usage_is_measured),
		on_btrfs(limit_below_use_is_refused),
		on_btrfs(removal_gives_the_space_back),
		on_btrfs(full_tenant_can_be_managed),
		on_btrfs(limits_survive_a_new_attach),
		on_btrfs(numbers_used_again_bring_no_old_limit),
		on_btrfs(attach_from_many_processes_makes_one_device),
		on_btrfs(pool_mounted_only_elsewhere_is_found),
		on_btrfs(detach_lets_the_device_go),
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
		return 77;
	}
	/* What is mounted here dies with this process. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_error("cannot make a mount namespace\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
