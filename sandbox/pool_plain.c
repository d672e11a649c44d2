/*
 * The pool driver `plain`: directories of the host's own file system, without disk limits. What it
 * has in common with `project` is in pool_dir.c. Must never take a limit that it cannot hold.
 */
#include "sandbox/pool_dir.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/tree_copy.h"

#include <sys/stat.h>

static bool works(const struct pool_config *config)
{
	(void)config;
	return true;
}

static int prepare(const struct pool_config *config, int root_fd, struct err *err)
{
	(void)config;
	(void)root_fd;
	(void)err;
	return 0;
}

static int release(const struct pool_config *config, struct err *err)
{
	(void)config;
	(void)err;
	return 0;
}

static int make(const struct pool_entry *entry, const struct pool_new *new, struct err *err)
{
	(void)new;
	if (mkdirat(entry->parent_fd, entry->name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make a directory in the pool");
	return 0;
}

static int make_group(int root_fd, int dir_fd, struct err *err)
{
	(void)root_fd;
	(void)dir_fd;
	(void)err;
	return 0;
}

static int drop(const struct pool_entry *entry, bool group, struct err *err)
{
	(void)group;
	return pool_dir_drop(entry->parent_fd, entry->name, err);
}

struct copying {
	int from_fd;
	const struct pool_entry *entry;
};

static int copy_into(int fd, void *arg, struct err *err)
{
	static const struct tree_copy_options as_it_is;
	const struct copying *copying = arg;
	int r = pool_reading_begin(copying->entry, err);

	if (r < 0)
		return r;
	r = tree_copy(copying->from_fd, fd, &as_it_is, NULL, err);
	pool_reading_end(copying->entry);
	if (r < 0)
		return r;
	return syncfs(fd) < 0 ? err_sys(err, errno, "write the copy to the disk") : 0;
}

static int clone(int from_fd, const struct pool_entry *entry, const struct pool_new *new,
	bool read_only, struct err *err)
{
	struct copying copying = {from_fd, entry};

	(void)new;
	(void)read_only;
	return pool_dir_make(entry->parent_fd, entry->name, copy_into, &copying, err);
}

static int held(int dir_fd, uint64_t *ret_bytes, struct err *err)
{
	(void)dir_fd;
	(void)err;
	*ret_bytes = 0;
	return 0;
}

static int seal(int dir_fd, struct err *err)
{
	(void)dir_fd;
	(void)err;
	return 0;
}

static int set_limit(
	const struct pool_target *target, const struct disk_limits *quota, struct err *err)
{
	(void)target;
	if (quota->bytes != LIMIT_UNSET)
		return err_set_subject(err, ERR_UNIMPLEMENTED, "DISK_LIMIT_UNSUPPORTED", "disk",
			"this host keeps containers on a plain file system, where disk cannot be "
			"limited; leave the disk limit out (\"none\"), or have the operator use "
			"the "
			"btrfs pool");
	if (quota->inodes != LIMIT_UNSET)
		return err_set_subject(err, ERR_UNIMPLEMENTED, "INODES_LIMIT_UNSUPPORTED", "inodes",
			"this host keeps containers on a plain file system, where files cannot be "
			"counted; leave the inodes limit out (\"none\")");
	return 0;
}

static int usage(
	const struct pool_target *target, bool exact, struct disk_limits *ret, struct err *err)
{
	(void)target;
	(void)exact;
	(void)err;
	*ret = (struct disk_limits){0};
	return 0;
}

const struct pool_ops pool_plain_ops = {
	.name = "plain",
	.has_limits = false,
	.copies = true,
	.works = works,
	.mount = pool_dir_mount,
	.prepare = prepare,
	.release = release,
	.make = make,
	.make_group = make_group,
	.drop = drop,
	.clone = clone,
	.held = held,
	.seal = seal,
	.set_limit = set_limit,
	.usage = usage,
};
