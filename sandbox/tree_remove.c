/*
 * Removal of hostile trees; see tree_remove.h. Walks by descriptor, one name at a time. Must never
 * follow a symbolic link, build a path, recurse, or hold more than DEPTH_MAX descriptors.
 */
#include "sandbox/tree_remove.h"

#include "base/cleanup.h"
#include "sandbox/btrfs_ioctl.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * A directory this far down is moved up to the top and handled from there: each move takes a
 * deeper part of the tree along, so every directory is still visited once.
 */
#define DEPTH_MAX 32

#define SUBVOLUME_INODE 256 /* on btrfs; BTRFS_FIRST_FREE_OBJECTID */

struct level {
	DIR *dir;
	char name[NAME_MAX + 1]; /* in the level above */
};

struct walk {
	struct level levels[DEPTH_MAX];
	int depth; /* open levels */
	unsigned moved;
};

static void walk_finish(struct walk *walk)
{
	while (walk->depth > 0)
		closedir(walk->levels[--walk->depth].dir);
}

static int walk_enter(struct walk *walk, int parent_fd, const char *name)
{
	struct level *level = &walk->levels[walk->depth];
	size_t length = strlen(name);
	_cleanup_close_ int fd = openat(
		parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (length >= sizeof(level->name))
		return -ENAMETOOLONG;
	level->dir = fdopendir(fd);
	if (!level->dir)
		return -errno;
	fd = -1;
	memcpy(level->name, name, length + 1);
	walk->depth++;
	return 0;
}

/* Puts a directory that is too deep beside the top's entries, under a name that is free there. */
static int walk_lift(struct walk *walk, int dir_fd, const char *name)
{
	int top = dirfd(walk->levels[0].dir);
	char lifted[NAME_MAX + 1];
	int r;

	do {
		snprintf(lifted, sizeof(lifted), ".croft-lifted-%u", walk->moved++);
		r = renameat2(dir_fd, name, top, lifted, RENAME_NOREPLACE) < 0 ? -errno : 0;
	} while (r == -EEXIST);
	return r;
}

static int remove_entry(struct walk *walk, int dir_fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_DIR) {
		if (unlinkat(dir_fd, entry->d_name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EISDIR && errno != EPERM)
			return -errno;
	}
	if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dir_fd, entry->d_name, 0) < 0 ? -errno : 0;
	/* Subvolumes go as a whole, and a read-only one cannot go otherwise. */
	if (st.st_ino == SUBVOLUME_INODE && btrfs_subvolume_destroy(dir_fd, entry->d_name) == 0)
		return 0;
	if (walk->depth == DEPTH_MAX)
		return walk_lift(walk, dir_fd, entry->d_name);
	return walk_enter(walk, dir_fd, entry->d_name);
}

/* One step: an entry of the deepest level, or that level itself once it is empty. */
static int walk_step(struct walk *walk, int parent_fd)
{
	struct level *level = &walk->levels[walk->depth - 1];
	struct dirent *entry;
	int above;

	do {
		errno = 0;
		entry = readdir(level->dir);
	} while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
	if (entry)
		return remove_entry(walk, dirfd(level->dir), entry);
	if (errno)
		return -errno;
	above = walk->depth > 1 ? dirfd(walk->levels[walk->depth - 2].dir) : parent_fd;
	if (unlinkat(above, level->name, AT_REMOVEDIR) < 0) {
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -errno;
		/* Directories were lifted into it, or removal upset the listing: list it anew. */
		rewinddir(level->dir);
		return 0;
	}
	closedir(level->dir);
	walk->depth--;
	return 0;
}

int tree_remove_at(int parent_fd, const char *name, struct err *err)
{
	struct walk walk = {.depth = 0};
	int r = walk_enter(&walk, parent_fd, name);

	if (r == -ENOENT)
		return 0;
	if (r == -ENOTDIR || r == -ELOOP)
		r = unlinkat(parent_fd, name, 0) < 0 ? -errno : 0;
	while (r == 0 && walk.depth > 0)
		r = walk_step(&walk, parent_fd);
	walk_finish(&walk);
	return r < 0 ? err_sys(err, r, "remove a directory tree") : 0;
}
