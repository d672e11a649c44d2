/*
 * Walking a tree that a tenant has written. Must never follow anything: each object is looked at
 * and opened by its one name in its directory.
 */
#include "sandbox/packer/pack.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As deep as the importer takes names (importer/entry_path.h), each level a descriptor. */
#define DEPTH_MAX 500

struct level {
	DIR *dir;
	size_t length; /* of its path */
};

struct walk {
	struct pack *pack;
	struct level levels[DEPTH_MAX];
	unsigned depth;
};

int pack_refuse(struct pack *pack, struct err *err, const char *why)
{
	char name[120];
	size_t n = 0;

	for (const char *p = pack->path; *p && n + 1 < sizeof(name); p++)
		name[n++] = (*p >= ' ' && *p < 0x7f) ? *p : '?';
	name[n] = '\0';
	return err_set(err, ERR_FAILED_PRECONDITION, "EXPORT_UNPACKABLE",
		"\"%s\" cannot be packed: %s", name, why);
}

static int push(struct walk *walk, int *fd, struct err *err)
{
	struct level *level = &walk->levels[walk->depth];

	if (walk->depth == DEPTH_MAX)
		return pack_refuse(walk->pack, err, "it lies too deep");
	level->dir = fdopendir(*fd);
	if (!level->dir)
		return err_sys(err, errno, "list a directory");
	*fd = -1;
	level->length = strlen(walk->pack->path);
	walk->depth++;
	return 0;
}

static void pop(struct walk *walk)
{
	closedir(walk->levels[--walk->depth].dir);
	if (walk->depth)
		walk->pack->path[walk->levels[walk->depth - 1].length] = '\0';
}

static int open_node(struct walk *walk, int dir_fd, const char *name, int flags, struct stat *st,
	int *ret_fd, struct err *err)
{
	struct stat opened;

	/* A device or FIFO that took the place of a file must not be waited for. */
	*ret_fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags);
	if (*ret_fd < 0 || fstat(*ret_fd, &opened) < 0)
		return err_sys(err, errno, "open a file that is to be packed");
	if (opened.st_ino != st->st_ino || opened.st_dev != walk->pack->device)
		return pack_refuse(walk->pack, err, "it changed, or something is mounted there");
	*st = opened;
	return 0;
}

static int visit(struct walk *walk, int dir_fd, const char *name, struct err *err)
{
	struct pack *pack = walk->pack;
	size_t length = walk->levels[walk->depth - 1].length;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = 0;

	if (length + strlen(name) + 2 > sizeof(pack->path))
		return pack_refuse(pack, err, "it holds a name that is too long altogether");
	snprintf(pack->path + length, sizeof(pack->path) - length, "/%s", name);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "look at a file that is to be packed");
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		r = open_node(
			walk, dir_fd, name, S_ISDIR(st.st_mode) ? O_DIRECTORY : 0, &st, &fd, err);
	if (r == 0)
		r = pack_node(pack, dir_fd, name, fd, &st, err);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return push(walk, &fd, err);
	pack->path[length] = '\0';
	return 0;
}

static int walk_all(struct walk *walk, struct err *err)
{
	while (walk->depth) {
		DIR *dir = walk->levels[walk->depth - 1].dir;
		struct dirent *entry;
		int r;

		errno = 0;
		entry = readdir(dir);
		if (!entry && errno)
			return err_sys(err, errno, "list a directory");
		if (!entry) {
			pop(walk);
			continue;
		}
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = visit(walk, dirfd(dir), entry->d_name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int pack_tree(struct pack *pack, int root_fd, struct err *err)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	_cleanup_close_ int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (!walk)
		return err_oom(err);
	walk->pack = pack;
	strcpy(pack->path, ".");
	pack_links_clear(&pack->links);
	r = pack_begin_tar(pack, err);
	if (r == 0 && (fd < 0 || fstat(fd, &st) < 0))
		r = err_sys(err, errno, "open a tree that is to be packed");
	if (r == 0) {
		pack->device = st.st_dev;
		r = pack_node(pack, fd, ".", fd, &st, err);
	}
	if (r == 0)
		r = push(walk, &fd, err);
	if (r == 0)
		r = walk_all(walk, err);
	while (walk->depth)
		pop(walk);
	free(walk);
	return r < 0 ? r : pack_end_tar(pack, err);
}
