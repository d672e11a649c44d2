/*
 * Names within the tree being unpacked; see tree.h. Must never open or make anything by a path of
 * more than one component except through openat2 with RESOLVE_IN_ROOT.
 */
#include "sandbox/importer/tree.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"
#include "sandbox/syscalls.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

/* A rename anywhere on the host while ".." is resolved gives EAGAIN (openat2(2)). */
#define RESOLVE_TRIES 1000

void tree_init(struct tree *tree, int root_fd)
{
	memset(tree, 0, sizeof(*tree));
	tree->root_fd = root_fd;
	tree->parent_fd = -1;
}

void tree_finish(struct tree *tree)
{
	close_fd(&tree->parent_fd);
}

int tree_open(const struct tree *tree, const char *path, int flags)
{
	int fd = -EAGAIN;

	for (int i = 0; i < RESOLVE_TRIES && fd == -EAGAIN; i++)
		fd = sys_openat2(tree->root_fd, path[0] ? path : ".", flags | O_CLOEXEC,
			RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
	return fd;
}

static int refuse(struct err *err, int r, const char *path)
{
	char quoted[ENTRY_QUOTED_MAX];

	entry_path_quote(path, quoted);
	if (r == -ENOTDIR || r == -ELOOP || r == -EEXIST)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive has entries below \"%s\", which is no directory, or a link "
			"that leads to none",
			quoted);
	return err_sys(err, r, "make the directory \"%s\"", quoted);
}

/* Opens the directory `path`, making what is missing of it, one component after the other. */
static int make_path(struct tree *tree, const char *path, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = tree_open(tree, "", O_PATH | O_DIRECTORY);
	char prefix[PATH_MAX];
	const char *name = path;

	if (fd < 0)
		return err_sys(err, fd, "open the image's root");
	while (*name) {
		size_t n = strcspn(name, "/");
		size_t length = (size_t)(name - path) + n;
		int next;

		memcpy(prefix, path, length);
		prefix[length] = '\0';
		next = tree_open(tree, prefix, O_PATH | O_DIRECTORY);
		if (next == -ENOENT) {
			const char *last = prefix + (name - path);

			if (mkdirat(fd, last, 0755) < 0)
				return refuse(err, -errno, prefix);
			tree->made++;
			next = tree_open(tree, prefix, O_PATH | O_DIRECTORY);
		}
		if (next < 0)
			return refuse(err, next, prefix);
		close(fd);
		fd = next;
		name += n + (name[n] == '/');
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int tree_parent(
	struct tree *tree, const char *path, int *ret_fd, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	char parent[PATH_MAX];
	int fd;
	int r;

	memcpy(parent, path, length);
	parent[length] = '\0';
	if (tree->parent_fd < 0 || strcmp(tree->parent, parent)) {
		fd = tree_open(tree, parent, O_PATH | O_DIRECTORY);
		if (fd == -ENOENT) {
			r = make_path(tree, parent, &fd, err);
			if (r < 0)
				return r;
		}
		if (fd < 0)
			return refuse(err, fd, parent);
		close_fd(&tree->parent_fd);
		tree->parent_fd = fd;
		memcpy(tree->parent, parent, length + 1);
	}
	*ret_fd = tree->parent_fd;
	*ret_name = slash ? slash + 1 : path;
	return 0;
}

int tree_make_dir(struct tree *tree, const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;

	return make_path(tree, path, &fd, err);
}

void tree_forget(struct tree *tree)
{
	close_fd(&tree->parent_fd);
}

int tree_clear(int parent_fd, const char *name, bool whole, struct err *err)
{
	char quoted[ENTRY_QUOTED_MAX];
	struct stat st;
	int r;

	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "look at an earlier entry");
	if (whole && S_ISDIR(st.st_mode))
		return tree_remove_at(parent_fd, name, err);
	r = unlinkat(parent_fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
	if (r == -ENOTEMPTY || r == -EEXIST)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive's entry \"%s\" would replace a directory that is not empty",
			entry_path_quote(name, quoted));
	if (r < 0)
		return err_sys(err, r, "replace an earlier entry");
	return 0;
}
