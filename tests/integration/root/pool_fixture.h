/* What the tests of pools share: a pool in a fresh state directory, and writing to its uppers. */
#pragma once

#include "tests/unit/unit.h"

#include "base/fd.h"
#include "base/limits.h"
#include "sandbox/pool.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB	  (1ull << 20)
#define POOL_SIZE (768 * MIB)

struct fixture {
	char dir[64];
	struct pool_config config;
	struct pool *pool;
	struct err err;
	char image[80]; /* of a file system of its own that dir is, or "" */
};

/* Limits of disk alone. */
#define DISK(b) (&(struct disk_limits){(b), LIMIT_UNSET})

#define assert_ok(f, call)                                                                         \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		if (r_ != 0)                                                                       \
			fail_msg("%s: %d: %s", #call, r_, (f)->err.msg);                           \
	} while (0)

/* XFS says one and ext4 the other for a project; btrfs says EDQUOT. */
#define assert_full(call)                                                                          \
	do {                                                                                       \
		int full_ = (call);                                                                \
		if (full_ != -EDQUOT && full_ != -ENOSPC)                                          \
			fail_msg("%s: %d, not a full disk", #call, full_);                         \
	} while (0)

/* True on the driver that deals a tenant's limit out. */
static inline bool is_project(struct fixture *f)
{
	return !strcmp(pool_driver(f->pool), "project");
}

static inline int setup_in(void **state, const char *dir, const char *driver)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, dir);
	f->config.state_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	strcpy(f->config.driver, driver);
	f->config.size_bytes = POOL_SIZE;
	if (pool_attach(&f->config, &f->pool, &f->err) < 0) {
		print_error("attach: %s\n", f->err.msg);
		return -1;
	}
	assert_string_equal(pool_driver(f->pool), *driver ? driver : "project");
	return 0;
}

static inline int teardown(void **state);

static inline int run_quietly(const char *command)
{
	char line[640];

	snprintf(line, sizeof(line), "{ %s; } >/dev/null 2>&1", command);
	return system(line) == 0 ? 0 : -1;
}

/* A file system with project quotas in a file, mounted where `dir` is. */
static inline int mount_project_fs(const char *fs, const char *image, const char *dir)
{
	bool xfs = !strcmp(fs, "xfs");
	char command[400];

	snprintf(command, sizeof(command),
		"truncate -s %llu %s && %s %s && mount -o loop,prjquota %s %s", POOL_SIZE, image,
		xfs ? "mkfs.xfs -q" : "mke2fs -q -F -t ext4 -O quota,project -E quotatype=prjquota",
		image, image, dir);
	return run_quietly(command);
}

/* Driver "": what such a file system is there for is found by looking. */
static inline int setup_project(void **state, const char *fs)
{
	char dir[64] = "/tmp/croft-test-pool-XXXXXX";
	struct fixture *f;
	char image[80];

	if (!mkdtemp(dir))
		return -1;
	snprintf(image, sizeof(image), "%s.img", dir);
	if (mount_project_fs(fs, image, dir) < 0 || setup_in(state, dir, "") < 0)
		return -1;
	f = *state;
	strcpy(f->image, image);
	return 0;
}

static inline int setup_xfs(void **state)
{
	return setup_project(state, "xfs");
}

static inline int setup_ext4(void **state)
{
	return setup_project(state, "ext4");
}

static inline bool has_project_fs(const char *fs)
{
	char dir[] = "/tmp/croft-test-probe-XXXXXX";
	char image[80];
	bool has = false;

	if (!mkdtemp(dir))
		return false;
	snprintf(image, sizeof(image), "%s.img", dir);
	if (mount_project_fs(fs, image, dir) == 0)
		has = umount(dir) == 0;
	unlink(image);
	rmdir(dir);
	return has;
}

static inline void skipped(void **state)
{
	(void)state;
	print_message("this kernel cannot mount it with project quotas\n");
	skip();
}

/* Of a kernel that cannot, the tests are skipped, and seen to be. False: there is none to run. */
static inline bool skip_what_cannot_be(struct CMUnitTest *tests, size_t n)
{
	bool xfs = has_project_fs("xfs");
	bool ext4 = has_project_fs("ext4");

	if (!xfs && !ext4) {
		print_message("1..0 # SKIP this kernel cannot mount XFS or ext4 with project "
			      "quotas\n");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if ((tests[i].setup_func == setup_xfs && !xfs) ||
			(tests[i].setup_func == setup_ext4 && !ext4)) {
			tests[i].test_func = skipped;
			tests[i].setup_func = NULL;
			tests[i].teardown_func = NULL;
		}
	return true;
}

#define on_xfs(t)                                                                                  \
	{                                                                                          \
		"xfs_" #t, t, setup_xfs, teardown, NULL                                            \
	}
#define on_ext4(t)                                                                                 \
	{                                                                                          \
		"ext4_" #t, t, setup_ext4, teardown, NULL                                          \
	}

static inline int setup_driver(void **state, const char *driver)
{
	char dir[64] = "/tmp/croft-test-pool-XXXXXX";

	return mkdtemp(dir) ? setup_in(state, dir, driver) : -1;
}

static inline int setup_btrfs(void **state)
{
	return setup_driver(state, "btrfs");
}

static inline int setup_plain(void **state)
{
	return setup_driver(state, "plain");
}

/* A pool that an older kernel made: quota groups of the full kind, which are kept. */
static inline int setup_full_quotas(void **state)
{
	char command[512];
	char dir[64] = "/tmp/croft-test-pool-XXXXXX";

	if (!mkdtemp(dir))
		return -1;
	snprintf(command, sizeof(command),
		"cd %s && mkdir m && truncate -s %llu pool.img && mkfs.btrfs -q pool.img "
		">/dev/null && "
		"mount -o loop pool.img m && btrfs quota enable m && umount m && rmdir m",
		dir, POOL_SIZE);
	return system(command) == 0 ? setup_in(state, dir, "btrfs") : -1;
}

static inline int remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", dir);
	return system(command);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	int r;

	pool_close(f->pool);
	r = pool_detach(&f->config, &f->err);
	if (r < 0)
		print_error("detach: %s\n", f->err.msg);
	close(f->config.state_fd);
	if (r == 0 && f->image[0]) {
		r = umount(f->dir) < 0 ? -errno : 0;
		unlink(f->image);
	}
	if (r == 0)
		r = remove_dir(f->dir);
	free(f);
	return r;
}

/* A tenant never has what lets root exceed a quota of ext4. */
static inline void with_root_rights(bool on)
{
	const cap_value_t value = CAP_SYS_RESOURCE;
	cap_flag_value_t has = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	cap_get_flag(caps, value, CAP_PERMITTED, &has);
	if (has == CAP_CLEAR) {
		cap_free(caps);
		return;
	}
	assert_int_equal(cap_set_flag(caps, CAP_EFFECTIVE, 1, &value, on ? CAP_SET : CAP_CLEAR), 0);
	assert_int_equal(cap_set_proc(caps), 0);
	cap_free(caps);
}

/* Writes up to size bytes; returns 0 or the error of the write that failed. */
static inline int write_file_as_root(int dirfd, const char *name, uint64_t size)
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

static inline int write_file(int dirfd, const char *name, uint64_t size)
{
	int r;

	with_root_rights(false);
	r = write_file_as_root(dirfd, name, size);
	with_root_rights(true);
	return r;
}

static inline int open_upper(struct fixture *f, const char *tenant, const char *container)
{
	_cleanup_close_ int fd = -1;
	int upper;

	assert_ok(f, pool_upper_open(f->pool, tenant, container, &fd, &f->err));
	upper = openat(fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(upper >= 0);
	return upper;
}

static inline void make_container(struct fixture *f, const char *tenant, uint64_t tenant_bytes,
	const char *name, uint64_t bytes)
{
	assert_ok(f, pool_tenant_make(f->pool, tenant, DISK(tenant_bytes), &f->err));
	assert_ok(f, pool_upper_make(f->pool, tenant, name, DISK(bytes), &f->err));
}

static inline void reattach(struct fixture *f)
{
	pool_close(f->pool);
	f->pool = NULL;
	assert_ok(f, pool_detach(&f->config, &f->err));
	assert_ok(f, pool_detach(&f->config, &f->err));
	assert_ok(f, pool_attach(&f->config, &f->pool, &f->err));
}

/* What is mounted from here on dies with this process. */
static inline int enter_mount_namespace(void)
{
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return 0;
	print_error("cannot make a mount namespace\n");
	return -1;
}
