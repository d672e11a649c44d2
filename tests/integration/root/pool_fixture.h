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
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB	  (1ull << 20)
#define POOL_SIZE (768 * MIB)

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
	return 0;
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
	if (r == 0)
		r = remove_dir(f->dir);
	free(f);
	return r;
}

/* Writes up to size bytes; returns 0 or the error of the write that failed. */
static inline int write_file(int dirfd, const char *name, uint64_t size)
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
	assert_ok(f, pool_tenant_make(f->pool, tenant, tenant_bytes, &f->err));
	assert_ok(f, pool_upper_make(f->pool, tenant, name, bytes, &f->err));
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
