/*
 * Whiteouts; see whiteout.h. Must never remove by anything but one name in a directory that was
 * opened within the tree.
 */
#include "sandbox/importer/whiteout.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <string.h>

#define PREFIX	    ".wh."
#define META_PREFIX ".wh..wh." /* aufs kept its own things so; only the next is a whiteout */
#define OPAQUE	    ".wh..wh..opq"

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool whiteout_is(const char *path)
{
	return !strncmp(last_of(path), PREFIX, strlen(PREFIX));
}

static int empty(int parent_fd, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	bool found;

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir)
		return err_sys(err, errno, "list a directory of a lower layer");
	/* Again until nothing is left: removing upsets the listing. */
	do {
		found = false;
		rewinddir(dir);
		while ((entry = readdir(dir))) {
			int r;

			if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
				continue;
			found = true;
			r = tree_remove_at(fd, entry->d_name, err);
			if (r < 0)
				return r;
		}
	} while (found);
	return 0;
}

int whiteout_apply(const struct tree *tree, const char *path, struct err *err)
{
	const char *last = last_of(path);
	const char *name = last + strlen(PREFIX);
	size_t length = last == path ? 0 : (size_t)(last - path) - 1;
	_cleanup_close_ int parent = -1;
	char quoted[ENTRY_QUOTED_MAX];
	char dir[PATH_MAX];

	memcpy(dir, path, length);
	dir[length] = '\0';
	if (strcmp(last, OPAQUE) && !strncmp(last, META_PREFIX, strlen(META_PREFIX)))
		return 0;
	if (!name[0] || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the layer's whiteout \"%s\" stands for no name",
			entry_path_quote(path, quoted));
	parent = tree_open(tree, dir, O_PATH | O_DIRECTORY);
	if (parent == -ENOENT || parent == -ENOTDIR || parent == -ELOOP)
		return 0;
	if (parent < 0)
		return err_sys(err, parent, "open a directory of a lower layer");
	return strcmp(last, OPAQUE) ? tree_remove_at(parent, name, err) : empty(parent, err);
}
