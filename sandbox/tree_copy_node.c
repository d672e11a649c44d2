/*
 * One object of a tree that is copied: its kind, its data, its attributes; see tree_copy.h. Must
 * never open anything of the source but by a descriptor that was looked at.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/tree_copy_internal.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define COPY_BLOCK (256u << 10)
/* overlayfs(5)'s documentation in the kernel: marks on files of an upper layer. */
#define OVERLAY_PREFIX "trusted.overlay."
#define OVERLAY_OPAQUE OVERLAY_PREFIX "opaque"

struct fd_path {
	char text[32];
};

/* What O_PATH descriptors have no calls for is done through their name in /proc. */
static const char *path_of(int fd, struct fd_path *path)
{
	snprintf(path->text, sizeof(path->text), "/proc/self/fd/%d", fd);
	return path->text;
}

bool tree_node_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

int tree_node_open(struct tree_nodes *nodes, int dir_fd, const char *name, int *ret_fd,
	struct stat *ret_st, struct err *err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret_st) < 0)
		return err_sys(err, errno, "open a file of a tree");
	if (ret_st->st_dev != nodes->device)
		return err_set(err, ERR_FAILED_PRECONDITION, "TREE_HAS_MOUNT",
			"another file system is mounted in the tree");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* --- extended attributes --- */

static int list_xattrs(int fd, char **ret_names, size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *names = malloc(XATTR_LIST_MAX);
	struct fd_path path;
	ssize_t n;

	if (!names)
		return err_oom(err);
	n = listxattr(path_of(fd, &path), names, XATTR_LIST_MAX);
	if (n < 0 && errno != EOPNOTSUPP)
		return err_sys(err, errno, "list a file's attributes");
	*ret_size = n < 0 ? 0 : (size_t)n;
	*ret_names = take_ptr(names);
	return 0;
}

static bool has_xattr(const char *names, size_t size, const char *name)
{
	for (size_t at = 0; at < size; at += strlen(names + at) + 1)
		if (!strcmp(names + at, name))
			return true;
	return false;
}

/* Marks that stand for something below are resolved by a merge, or must not be there. */
static int check_mark(const char *name, struct err *err)
{
	static const char *const unmergeable[] = {
		OVERLAY_PREFIX "redirect", OVERLAY_PREFIX "metacopy"};

	for (size_t i = 0; i < ARRAY_SIZE(unmergeable); i++)
		if (!strcmp(name, unmergeable[i]))
			return err_set(err, ERR_FAILED_PRECONDITION, "LAYER_UNMERGEABLE",
				"the container's files refer to its image in a way that cannot be "
				"merged; copy what is to be published into a new container");
	return 0;
}

static int copy_xattr(int from_fd, int to_fd, const char *name, char *value, struct err *err)
{
	struct fd_path path;
	ssize_t n = getxattr(path_of(from_fd, &path), name, value, XATTR_SIZE_MAX);

	if (n < 0)
		return err_sys(err, errno, "read a file's attribute");
	if (setxattr(path_of(to_fd, &path), name, value, (size_t)n, 0) < 0)
		return err_sys(err, errno, "copy a file's attribute");
	return 0;
}

/* An inherited ACL, or what a merged directory had before. */
static int drop_others(int to_fd, const char *names, size_t size, struct err *err)
{
	_cleanup_free_ char *present = NULL;
	struct fd_path path;
	size_t n;
	int r = list_xattrs(to_fd, &present, &n, err);

	if (r < 0)
		return r;
	for (size_t at = 0; at < n; at += strlen(present + at) + 1)
		if (!has_xattr(names, size, present + at) &&
			removexattr(path_of(to_fd, &path), present + at) < 0 && errno != ENODATA &&
			errno != EPERM)
			return err_sys(err, errno, "remove a file's attribute");
	return 0;
}

static int copy_xattrs(struct tree_nodes *nodes, int from_fd, int to_fd, struct err *err)
{
	bool merge = nodes->options->merge;
	_cleanup_free_ char *names = NULL;
	_cleanup_free_ char *value = NULL;
	size_t size;
	int r = list_xattrs(from_fd, &names, &size, err);

	if (r == 0)
		r = drop_others(to_fd, names, size, err);
	if (r < 0 || !size)
		return r;
	value = malloc(XATTR_SIZE_MAX);
	if (!value)
		return err_oom(err);
	for (size_t at = 0; r == 0 && at < size; at += strlen(names + at) + 1) {
		const char *name = names + at;

		if (!merge || strncmp(name, OVERLAY_PREFIX, strlen(OVERLAY_PREFIX)) != 0)
			r = copy_xattr(from_fd, to_fd, name, value, err);
		else
			r = check_mark(name, err);
	}
	return r;
}

int tree_node_copy_metadata(
	struct tree_nodes *nodes, int from_fd, const struct stat *st, int to_fd, struct err *err)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	struct fd_path path;
	int r;

	/* The owner first: a change of it takes setuid bits and capabilities off. */
	if (fchownat(to_fd, "", st->st_uid, st->st_gid, AT_EMPTY_PATH) < 0)
		return err_sys(err, errno, "give a file its owner");
	r = copy_xattrs(nodes, from_fd, to_fd, err);
	if (r < 0)
		return r;
	if (!S_ISLNK(st->st_mode) && chmod(path_of(to_fd, &path), st->st_mode & 07777) < 0)
		return err_sys(err, errno, "give a file its mode");
	if (utimensat(to_fd, "", times, AT_EMPTY_PATH) < 0)
		return err_sys(err, errno, "give a file its times");
	return 0;
}

/* --- data --- */

static int copy_range(int from, int to, off_t at, off_t end, char *block, struct err *err)
{
	while (at < end) {
		size_t want = (uint64_t)(end - at) < COPY_BLOCK ? (size_t)(end - at) : COPY_BLOCK;
		ssize_t n = pread(from, block, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read a file");
		if (n == 0)
			return 0;
		for (ssize_t done = 0; done < n;) {
			ssize_t w = pwrite(to, block + done, (size_t)(n - done), at + done);

			if (w < 0 && errno != EINTR)
				return err_sys(err, errno, "write a file");
			if (w > 0)
				done += w;
		}
		at += n;
	}
	return 0;
}

static int copy_extents(int from, int to, off_t size, struct err *err)
{
	_cleanup_free_ char *block = malloc(COPY_BLOCK);
	off_t at = 0;
	int r = 0;

	if (!block)
		return err_oom(err);
	while (r == 0 && at < size) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0 || hole < 0)
			return err_sys(err, errno, "find a file's data");
		r = copy_range(from, to, data, hole, block, err);
		at = hole;
	}
	return r;
}

/* True when it is shared now; false when it has to be copied. */
static int share(struct tree_nodes *nodes, int from, int to, bool *ret, struct err *err)
{
	*ret = false;
	if (nodes->cannot_clone || nodes->options->own_data)
		return 0;
	if (ioctl(to, FICLONE, from) == 0) {
		*ret = true;
		return 0;
	}
	switch (errno) {
	case EOPNOTSUPP:
	case ENOTTY:
	case EXDEV:
		nodes->cannot_clone = true;
		return 0;
	case EINVAL:
		return 0; /* this file cannot be shared */
	default:
		return err_sys(err, errno, "share a file's data");
	}
}

static int copy_data(
	struct tree_nodes *nodes, int from_fd, const struct stat *st, int to, struct err *err)
{
	struct fd_path path;
	_cleanup_close_ int from = open(
		path_of(from_fd, &path), O_RDONLY | O_NOATIME | O_NONBLOCK | O_CLOEXEC);
	bool shared;
	int r;

	if (from < 0)
		return err_sys(err, errno, "open a file");
	r = share(nodes, from, to, &shared, err);
	if (r < 0 || shared)
		return r;
	if (ftruncate(to, st->st_size) < 0)
		return err_sys(err, errno, "give a file its size");
	return copy_extents(from, to, st->st_size, err);
}

/* --- kinds --- */

static int make_file(struct tree_nodes *nodes, int from_fd, const struct stat *st, int to_dir_fd,
	const char *name, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = openat(
		to_dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "make a file");
	r = copy_data(nodes, from_fd, st, fd, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int make_symlink(int from_fd, int to_dir_fd, const char *name, struct err *err)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(from_fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(err, errno, "read a symbolic link");
	target[n] = '\0';
	if (symlinkat(target, to_dir_fd, name) < 0)
		return err_sys(err, errno, "make a symbolic link");
	return 0;
}

static int make_special(const struct stat *st, int to_dir_fd, const char *name, struct err *err)
{
	if (!S_ISFIFO(st->st_mode) && !S_ISSOCK(st->st_mode) && !tree_node_is_whiteout(st))
		return err_set(err, ERR_FAILED_PRECONDITION, "TREE_HAS_DEVICE",
			"the tree holds a device node, which no container may have");
	if (mknodat(to_dir_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0)
		return err_sys(err, errno, "make a special file");
	return 0;
}

static int make_node(struct tree_nodes *nodes, int from_fd, const struct stat *st, int to_dir_fd,
	const char *name, struct err *err)
{
	_cleanup_close_ int to = -1;
	int r;

	if (S_ISREG(st->st_mode))
		r = make_file(nodes, from_fd, st, to_dir_fd, name, &to, err);
	else if (S_ISLNK(st->st_mode))
		r = make_symlink(from_fd, to_dir_fd, name, err);
	else
		r = make_special(st, to_dir_fd, name, err);
	if (r < 0)
		return r;
	if (to < 0)
		to = openat(to_dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_sys(err, errno, "open what was made");
	return tree_node_copy_metadata(nodes, from_fd, st, to, err);
}

/* --- hard links --- */

static int open_links(struct tree_nodes *nodes, struct err *err)
{
	uint64_t random[2];

	if (nodes->links_fd >= 0)
		return 0;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, errno, "take a random name");
	/* No name that the source has, as nobody could know it. */
	snprintf(nodes->links, sizeof(nodes->links), ".links-%016" PRIx64 "%016" PRIx64, random[0],
		random[1]);
	if (mkdirat(nodes->root_fd, nodes->links, 0700) < 0)
		return err_sys(err, errno, "make a directory for links");
	nodes->links_fd = openat(
		nodes->root_fd, nodes->links, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return nodes->links_fd < 0 ? err_sys(err, errno, "open the directory for links") : 0;
}

static void link_name(const struct stat *st, char ret[static 32])
{
	snprintf(ret, 32, "%" PRIx64, (uint64_t)st->st_ino);
}

/* Links to what an earlier name of the inode became. *ret: there was one. */
static int use_link(struct tree_nodes *nodes, const struct stat *st, int to_dir_fd,
	const char *name, bool *ret, struct err *err)
{
	char known[32];

	*ret = false;
	if (nodes->links_fd < 0)
		return 0;
	link_name(st, known);
	if (linkat(nodes->links_fd, known, to_dir_fd, name, 0) == 0) {
		*ret = true;
		return 0;
	}
	if (errno == ENOENT)
		return 0;
	/* One more than the file system allows is our own: then this is the last one. */
	if (errno == EMLINK && renameat(nodes->links_fd, known, to_dir_fd, name) == 0) {
		*ret = true;
		return 0;
	}
	return err_sys(err, errno, "link a file");
}

static int keep_link(struct tree_nodes *nodes, const struct stat *st, int to_dir_fd,
	const char *name, struct err *err)
{
	char known[32];
	int r = open_links(nodes, err);

	if (r < 0)
		return r;
	link_name(st, known);
	if (linkat(to_dir_fd, name, nodes->links_fd, known, 0) < 0)
		return err_sys(err, errno, "link a file");
	return 0;
}

int tree_nodes_finish(struct tree_nodes *nodes, struct err *err)
{
	if (nodes->links_fd < 0)
		return 0;
	close_fd(&nodes->links_fd);
	return tree_remove_at(nodes->root_fd, nodes->links, err);
}

int tree_node_copy(struct tree_nodes *nodes, int from_fd, const struct stat *st, int to_dir_fd,
	const char *name, struct err *err)
{
	bool linked = false;
	int r = 0;

	if (to_dir_fd < 0) {
		/* Only measured: each of its names has its share. */
		nodes->report.bytes += (uint64_t)st->st_blocks * 512 / st->st_nlink;
		return 0;
	}
	if (nodes->options->merge) {
		r = tree_remove_at(to_dir_fd, name, err);
		if (r < 0 || tree_node_is_whiteout(st))
			return r;
	}
	if (st->st_nlink > 1)
		r = use_link(nodes, st, to_dir_fd, name, &linked, err);
	if (r < 0 || linked)
		return r;
	nodes->report.bytes += (uint64_t)st->st_blocks * 512;
	r = make_node(nodes, from_fd, st, to_dir_fd, name, err);
	if (r == 0 && st->st_nlink > 1)
		r = keep_link(nodes, st, to_dir_fd, name, err);
	return r;
}

/* --- directories --- */

static int is_opaque(int from_fd, bool *ret, struct err *err)
{
	struct fd_path path;
	char value[8];
	ssize_t n = getxattr(path_of(from_fd, &path), OVERLAY_OPAQUE, value, sizeof(value));

	if (n < 0 && errno != ENODATA && errno != EOPNOTSUPP && errno != ERANGE)
		return err_sys(err, errno, "read a directory's attribute");
	*ret = n == 1 && value[0] == 'y';
	return 0;
}

/* What the target has of that name goes, unless it is a directory whose entries stay. */
static int clear_for_dir(int from_fd, int to_dir_fd, const char *name, struct err *err)
{
	struct stat st;
	bool opaque = false;
	int r = is_opaque(from_fd, &opaque, err);

	if (r < 0)
		return r;
	if (fstatat(to_dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "look at a file");
	return S_ISDIR(st.st_mode) && !opaque ? 0 : tree_remove_at(to_dir_fd, name, err);
}

int tree_node_make_dir(struct tree_nodes *nodes, int from_fd, int to_dir_fd, const char *name,
	int *ret_fd, struct err *err)
{
	bool merge = nodes->options->merge;
	int r = merge ? clear_for_dir(from_fd, to_dir_fd, name, err) : 0;
	int fd;

	if (r < 0)
		return r;
	if (mkdirat(to_dir_fd, name, 0700) < 0 && (errno != EEXIST || !merge))
		return err_sys(err, errno, "make a directory");
	fd = openat(to_dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open a directory");
	*ret_fd = fd;
	return 0;
}
