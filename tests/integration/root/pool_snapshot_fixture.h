/* What the tests of snapshots share: a tenant with a container, what is made of it, and a tree that
 * has everything in it. */
#pragma once

#include "tests/integration/root/pool_fixture.h"

#include "sandbox/pool_snapshot.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

static inline void make_tenant(struct fixture *f, uint64_t bytes)
{
	if (!pool_has_limits(f->pool))
		bytes = LIMIT_UNSET;
	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(bytes), &f->err));
}

static inline void make(struct fixture *f, const char *name)
{
	make_tenant(f, LIMIT_UNSET);
	assert_ok(f, pool_upper_make(f->pool, "acme", name, DISK(LIMIT_UNSET), &f->err));
}

static inline void snapshot_within(struct fixture *f, const char *name, uint64_t disk_bytes)
{
	uint64_t bytes;

	assert_ok(f, pool_snapshot_make(
			     f->pool, "acme", "web", name, DISK(disk_bytes), &bytes, &f->err));
}

static inline void snapshot(struct fixture *f, const char *name)
{
	snapshot_within(f, name, LIMIT_UNSET);
}

static inline void restore(struct fixture *f, const char *name)
{
	assert_ok(
		f, pool_snapshot_restore(f->pool, "acme", "web", name, DISK(LIMIT_UNSET), &f->err));
}

static inline void drop(struct fixture *f, const char *name)
{
	assert_ok(
		f, pool_snapshot_remove(f->pool, "acme", "web", name, DISK(LIMIT_UNSET), &f->err));
}

static inline void put(int dir, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static inline void assert_text(int dir, const char *name, const char *text)
{
	char found[64];

	if (fd_read_text_at(dir, name, found, sizeof(found)) < 0)
		fail_msg("%s cannot be read", name);
	assert_string_equal(found, text);
}

static inline bool is_there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline int count_one(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static inline int count(struct fixture *f)
{
	int n = 0;

	assert_ok(f, pool_snapshot_list(f->pool, "acme", "web", count_one, &n, &f->err));
	return n;
}

/* What the tenant's directory holds besides dot and dot-dot. */
static inline int tenant_entries(struct fixture *f)
{
	char path[96];
	_cleanup_closedir_ DIR *dir = NULL;
	int n = -2;

	snprintf(path, sizeof(path), "%s/pool/tenants/acme", f->dir);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static inline uint64_t exact_usage(struct fixture *f, const char *container)
{
	_cleanup_close_ int upper = open_upper(f, "acme", "web");
	struct disk_limits used;

	assert_int_equal(syncfs(upper), 0);
	assert_ok(f, pool_usage(f->pool, "acme", container, &used, &f->err));
	return used.bytes;
}

/* The kernel frees what is removed in the background. */
static inline void wait_usage_below(struct fixture *f, uint64_t bytes)
{
	for (time_t end = time(NULL) + 90; exact_usage(f, "") >= bytes; usleep(100 * 1000))
		assert_true(time(NULL) < end);
}

/* The value of one attribute as text, or "-". */
static inline const char *attribute(int dir, const char *name, const char *attribute, char ret[64])
{
	char path[96];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	n = lgetxattr(path, attribute, ret, 63);
	snprintf(ret + (n < 0 ? 0 : n), n < 0 ? 2 : 1, "%s", n < 0 ? "-" : "");
	return ret;
}

static inline void give_attribute(
	int dir, const char *name, const char *attribute, const void *value, size_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	assert_int_equal(lsetxattr(path, attribute, value, size, 0), 0);
}

/* vfs_cap_data, version 2, CAP_NET_RAW effective: linux/capability.h. */
static const uint32_t file_capability[5] = {0x02000001, 1 << 13, 0, 0, 0};
/* posix_acl_xattr: version 2; user::rw-, user:1000:r--, group::r--, mask::r--, other::--- */
static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 232, 3, 0, 0,
	4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255,
	255};

static inline void fill_with_everything(int upper)
{
	_cleanup_close_ int fd = -1;

	mkdirat(upper, "dir", 0755);
	put(upper, "dir/owned", "text");
	assert_int_equal(fchownat(upper, "dir/owned", 1000, 2000, 0), 0);
	assert_int_equal(fchmodat(upper, "dir/owned", 06755, 0), 0);
	give_attribute(upper, "dir", "trusted.overlay.opaque", "y", 1);
	give_attribute(upper, "dir", "system.posix_acl_default", acl, sizeof(acl));
	put(upper, "ping", "capable");
	give_attribute(
		upper, "ping", "security.capability", file_capability, sizeof(file_capability));
	put(upper, "listed", "acl");
	give_attribute(upper, "listed", "system.posix_acl_access", acl, sizeof(acl));
	give_attribute(upper, "listed", "user.note", "mine", 4);
	give_attribute(upper, "listed", "trusted.overlay.origin", "handle", 6);
	assert_int_equal(symlinkat("/etc/shadow", upper, "link"), 0);
	give_attribute(upper, "link", "trusted.overlay.origin", "handle", 6);
	assert_int_equal(fchownat(upper, "link", 5, 6, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(mknodat(upper, "whiteout", S_IFCHR, makedev(0, 0)), 0);
	assert_int_equal(linkat(upper, "whiteout", upper, "whiteout2", 0), 0);
	assert_int_equal(mkfifoat(upper, "fifo", 0600), 0);
	put(upper, "one", "linked");
	assert_int_equal(linkat(upper, "one", upper, "dir/two", 0), 0);
	fd = openat(upper, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 16 * MIB), 0);
	assert_int_equal(pwrite(fd, "x", 1, 8 * MIB), 1);
}

/* Names, modes, owners, times, links, sizes, attributes and data, sorted. */
static inline void describe(int dir, const char *path)
{
	char command[1024];

	assert_int_equal(fchdir(dir), 0);
	snprintf(command, sizeof(command),
		"{ find . -printf '%%P %%y %%m %%U %%G %%n %%T@ %%l\\n' | LC_ALL=C sort; "
		"find . | LC_ALL=C sort | /usr/bin/python3 -c 'import os, sys\n"
		"for p in sys.stdin.read().split():\n"
		"  for a in sorted(os.listxattr(p, follow_symlinks=False)):\n"
		"    print(p, a, os.getxattr(p, a, follow_symlinks=False))'; "
		"find . -type f | LC_ALL=C sort | xargs sha256sum; } > %s",
		path);
	assert_int_equal(system(command), 0);
	assert_int_equal(chdir("/"), 0);
}

static inline void assert_same(struct fixture *f, int a, int b)
{
	char first[96];
	char second[96];
	char command[400];

	snprintf(first, sizeof(first), "%s/first", f->dir);
	snprintf(second, sizeof(second), "%s/second", f->dir);
	describe(a, first);
	describe(b, second);
	snprintf(command, sizeof(command), "test $(wc -l < %s) -gt 20 && diff %s %s >&2", first,
		first, second);
	assert_int_equal(system(command), 0);
}
