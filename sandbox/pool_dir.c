/*
 * Pools that are directories; see pool_dir.h. Trees are removed entry by entry, so none must be
 * handed in that somebody writes to.
 */
#include "sandbox/pool_dir.h"

#include "base/cleanup.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define OPEN_DIR    (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define PART_SUFFIX ".part"

int pool_dir_mount(const struct pool_config *config, struct err *err)
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

static int part_name(const char *name, char ret[static NAME_MAX + 1], struct err *err)
{
	if (strlen(name) + sizeof(PART_SUFFIX) > NAME_MAX + 1)
		return err_sys(err, ENAMETOOLONG, "name a copy");
	snprintf(ret, NAME_MAX + 1, "%s" PART_SUFFIX, name);
	return 0;
}

int pool_dir_drop(int parent_fd, const char *name, struct err *err)
{
	char part[NAME_MAX + 1];
	int r = part_name(name, part, err);

	if (r == 0)
		r = tree_remove_at(parent_fd, part, err);
	return r < 0 ? r : tree_remove_at(parent_fd, name, err);
}

static int make_part(
	int parent_fd, const char *part, pool_dir_fill fill, void *arg, struct err *err)
{
	_cleanup_close_ int fd = -1;

	if (mkdirat(parent_fd, part, 0700) < 0)
		return err_sys(err, errno, "make a directory in the pool");
	fd = openat(parent_fd, part, OPEN_DIR);
	if (fd < 0)
		return err_sys(err, errno, "open a directory of the pool");
	return fill(fd, arg, err);
}

int pool_dir_make(int parent_fd, const char *name, pool_dir_fill fill, void *arg, struct err *err)
{
	char part[NAME_MAX + 1];
	int r = part_name(name, part, err);

	if (r == 0)
		r = tree_remove_at(parent_fd, part, err);
	if (r == 0)
		r = make_part(parent_fd, part, fill, arg, err);
	if (r == 0 && renameat2(parent_fd, part, parent_fd, name, RENAME_NOREPLACE) < 0)
		r = err_sys(err, errno, "name a directory of the pool");
	if (r < 0)
		tree_remove_at(parent_fd, part, NULL);
	else if (fsync(parent_fd) < 0)
		r = err_sys(err, errno, "write a directory's name to the disk");
	return r;
}
