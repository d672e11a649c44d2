/*
 * The pool driver `plain`: directories of the host's own file system, without disk limits. Its
 * trees are removed entry by entry, so it must never be handed a tree that somebody writes to.
 */
#include "sandbox/pool_internal.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/tree_copy.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool works(void)
{
	return true;
}

/* A bind mount of the directory on itself, so that nosuid and nodev hold here too. */
static int mount_plain(const struct pool_config *config, struct err *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME,
		.attr_clr = MOUNT_ATTR__ATIME,
	};
	_cleanup_close_ int fd = open_tree(
		config->state_fd, POOL_DIR, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "clone the pool's directory as a mount");
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "set the pool's mount flags");
	return pool_move_mount(fd, config->state_fd, err);
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

static int make(int parent_fd, const char *name, int group_fd, struct err *err)
{
	(void)group_fd;
	if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make a directory in the pool");
	return 0;
}

static int make_group(int dir_fd, struct err *err)
{
	(void)dir_fd;
	(void)err;
	return 0;
}

/* A copy that is not whole yet: beside what it will be. */
#define PART_SUFFIX ".part"

static int part_name(const char *name, char ret[static NAME_MAX + 1], struct err *err)
{
	if (strlen(name) + sizeof(PART_SUFFIX) > NAME_MAX + 1)
		return err_sys(err, ENAMETOOLONG, "name a copy");
	snprintf(ret, NAME_MAX + 1, "%s" PART_SUFFIX, name);
	return 0;
}

static int drop(int parent_fd, const char *name, bool group, struct err *err)
{
	char part[NAME_MAX + 1];
	int r = part_name(name, part, err);

	(void)group;
	if (r == 0)
		r = tree_remove_at(parent_fd, part, err);
	return r < 0 ? r : tree_remove_at(parent_fd, name, err);
}

static int copy_into(int from_fd, int parent_fd, const char *part, struct err *err)
{
	static const struct tree_copy_options as_it_is;
	_cleanup_close_ int fd = -1;
	int r;

	if (mkdirat(parent_fd, part, 0700) < 0)
		return err_sys(err, errno, "make a directory in the pool");
	fd = openat(parent_fd, part, OPEN_DIR);
	if (fd < 0)
		return err_sys(err, errno, "open a directory of the pool");
	r = tree_copy(from_fd, fd, &as_it_is, NULL, err);
	if (r < 0)
		return r;
	return syncfs(fd) < 0 ? err_sys(err, errno, "write the copy to the disk") : 0;
}

static int clone(int from_fd, int to_parent_fd, const char *to_name, int group_fd, bool read_only,
	struct err *err)
{
	char part[NAME_MAX + 1];
	int r = part_name(to_name, part, err);

	(void)group_fd;
	(void)read_only;
	if (r == 0)
		r = tree_remove_at(to_parent_fd, part, err);
	if (r == 0)
		r = copy_into(from_fd, to_parent_fd, part, err);
	if (r == 0 && renameat2(to_parent_fd, part, to_parent_fd, to_name, RENAME_NOREPLACE) < 0)
		r = err_sys(err, errno, "name a copy");
	if (r < 0)
		tree_remove_at(to_parent_fd, part, NULL);
	else if (fsync(to_parent_fd) < 0)
		r = err_sys(err, errno, "write the copy's name to the disk");
	return r;
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
	int root_fd, int dir_fd, enum pool_scope scope, uint64_t bytes, struct err *err)
{
	(void)root_fd;
	(void)dir_fd;
	(void)scope;
	if (bytes == LIMIT_UNSET)
		return 0;
	return err_set_subject(err, ERR_UNIMPLEMENTED, "DISK_LIMIT_UNSUPPORTED", "disk",
		"this host keeps containers on a plain file system, where disk cannot be limited; "
		"leave the disk limit out (\"none\"), or have the operator use the btrfs pool");
}

static int usage(
	int dir_fd, enum pool_scope scope, bool exact, uint64_t *ret_bytes, struct err *err)
{
	(void)dir_fd;
	(void)scope;
	(void)exact;
	(void)err;
	*ret_bytes = 0;
	return 0;
}

const struct pool_ops pool_plain_ops = {
	.name = "plain",
	.has_limits = false,
	.copies = true,
	.works = works,
	.mount = mount_plain,
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
