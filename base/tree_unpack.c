/*
 * Unpacking below a directory; see tree_unpack.h. The tree may be a tenant's, who changes it
 * meanwhile: each parent is opened beneath the directory without following any link, and what is
 * made is made relative to that descriptor, under a new name, and renamed.
 */
#include "base/tree_unpack.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* A name may be taken by what an earlier run left that was killed. */
#define NAMES_TRIED 100

static int failed(const char *path, int e, struct err *err)
{
	switch (e) {
	case ENOSPC:
	case EDQUOT:
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "NO_SPACE", "disk",
			"%.300s: there is no room left on the disk", path);
	case ELOOP:
	case ENOTDIR:
	case EXDEV:
		return err_set(err, ERR_FAILED_PRECONDITION, "PATH_BLOCKED",
			"%.300s: what should be a directory on the way is not one", path);
	/* Of a directory that was removed, and of one in which the kernel makes all files. */
	case ENOENT:
		return err_set(err, ERR_FAILED_PRECONDITION, "PATH_BLOCKED",
			"%.300s: its directory takes no files, as those of /proc, or is gone",
			path);
	case EACCES:
	case EPERM:
	case EROFS:
		return err_set(
			err, ERR_PERMISSION_DENIED, "FILE_FAILED", "%.300s: %s", path, strerror(e));
	default:
		return err_set(err, ERR_FAILED_PRECONDITION, "FILE_FAILED", "%.300s: %s", path,
			strerror(e));
	}
}

/* Components that are neither empty, `.` nor `..`. */
static bool is_safe(const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (!n || (n == 1 && path[0] == '.') || (n == 2 && !memcmp(path, "..", 2)))
			return false;
		path += n;
		if (*path == '/' && !*++path)
			return false;
	}
	return true;
}

/* The entry's path as it is to be below dirfd. */
static int place(const struct tree_unpack *u, const char *path, char out[static TAR_PATH_MAX],
	struct err *err)
{
	const char *rest;
	int n;

	while (!strncmp(path, "./", 2))
		path += 2;
	if (!*path || !is_safe(path))
		return err_set(err, ERR_INVALID_ARGUMENT, "ARCHIVE_UNSAFE",
			"\"%.200s\" is no name below the target; nothing was written for it", path);
	rest = u->as ? path + strcspn(path, "/") : path;
	n = snprintf(out, TAR_PATH_MAX, "%s%s", u->as ? u->as : "", rest);
	return n < (int)TAR_PATH_MAX ? 0 : failed(path, ENAMETOOLONG, err);
}

static int open_beneath(int dirfd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* Opens the parent of a placed path, and leaves its last component in u->name. */
static int open_parent(struct tree_unpack *u, const char *path, struct err *err)
{
	char parent[TAR_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	memcpy(parent, path, n);
	parent[n] = '\0';
	snprintf(u->name, sizeof(u->name), "%s", slash ? slash + 1 : path);
	cleanup_close(&u->parent_fd);
	u->parent_fd = open_beneath(u->dirfd, parent);
	if (u->parent_fd < 0)
		return failed(path, u->parent_fd == -ENOENT ? ENOTDIR : -u->parent_fd, err);
	return 0;
}

static int make_directory(struct tree_unpack *u, const struct tar_entry *e, struct err *err)
{
	struct stat st;

	if (mkdirat(u->parent_fd, u->name, (e->mode & u->mask & 0777) | 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return failed(e->path, errno, err);
	if (fstatat(u->parent_fd, u->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(e->path, errno, err);
	return S_ISDIR(st.st_mode) ? 0 : failed(e->path, ENOTDIR, err);
}

static void new_temporary(struct tree_unpack *u)
{
	snprintf(u->temporary, sizeof(u->temporary), ".croft-%d-%u", (int)getpid(), ++u->serial);
}

static int open_file(struct tree_unpack *u, const struct tar_entry *e, struct err *err)
{
	do {
		new_temporary(u);
		u->file_fd = openat(u->parent_fd, u->temporary,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	} while (u->file_fd < 0 && errno == EEXIST && u->serial % NAMES_TRIED);
	if (u->file_fd < 0) {
		u->temporary[0] = '\0'; /* not ours */
		return failed(e->path, errno, err);
	}
	u->mtime = e->mtime;
	return fchmod(u->file_fd, e->mode & u->mask) < 0 ? failed(e->path, errno, err) : 0;
}

/* Puts what was made under its name; a directory in its place stays. */
static int publish(struct tree_unpack *u, struct err *err)
{
	if (renameat(u->parent_fd, u->temporary, u->parent_fd, u->name) < 0)
		return failed(u->name, errno, err);
	u->temporary[0] = '\0';
	return 0;
}

static int make_link(struct tree_unpack *u, const struct tar_entry *e, struct err *err)
{
	new_temporary(u);
	if (symlinkat(e->target, u->parent_fd, u->temporary) < 0) {
		u->temporary[0] = '\0';
		return failed(e->path, errno, err);
	}
	return publish(u, err);
}

static int on_entry(void *arg, const struct tar_entry *e, struct err *err)
{
	struct tree_unpack *u = arg;
	char path[TAR_PATH_MAX];
	int r;

	/* What `tar -C dir .` begins with: the target itself. */
	if (e->type == TAR_DIRECTORY && !u->as && !strcmp(e->path, "."))
		return 0;
	r = place(u, e->path, path, err);
	/* Whoever comes back to it would be led where it points to. */
	if (r == 0 && u->as && e->type == TAR_SYMLINK && !strchr(path, '/'))
		r = err_set(err, ERR_INVALID_ARGUMENT, "ARCHIVE_UNSAFE",
			"what was asked for came as a symbolic link; nothing was written for it");
	if (r == 0)
		r = open_parent(u, path, err);
	if (r < 0)
		return r;
	u->entries++;
	switch (e->type) {
	case TAR_DIRECTORY:
		return make_directory(u, e, err);
	case TAR_SYMLINK:
		return make_link(u, e, err);
	default:
		return open_file(u, e, err);
	}
}

static int on_data(void *arg, const void *data, size_t size, struct err *err)
{
	struct tree_unpack *u = arg;
	const char *at = data;

	while (size) {
		ssize_t n = write(u->file_fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(u->name, errno, err);
		u->bytes += (uint64_t)n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

static int on_end(void *arg, struct err *err)
{
	struct tree_unpack *u = arg;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = u->mtime}};
	int fd = u->file_fd;

	if (fd < 0)
		return 0;
	u->file_fd = -1;
	futimens(fd, times);
	/* Where a network or quota file system tells of a write that failed. */
	if (close(fd) < 0)
		return failed(u->name, errno, err);
	return publish(u, err);
}

static const struct tar_reader_ops ops = {.entry = on_entry, .data = on_data, .end = on_end};

void tree_unpack_init(struct tree_unpack *u, int dirfd, const char *as, mode_t mask)
{
	memset(u, 0, sizeof(*u));
	tar_reader_init(&u->reader, &ops, u);
	u->dirfd = dirfd;
	u->as = as;
	u->mask = mask;
	u->parent_fd = -1;
	u->file_fd = -1;
}

int tree_unpack_feed(struct tree_unpack *u, const void *data, size_t size, struct err *err)
{
	return tar_reader_feed(&u->reader, data, size, err);
}

int tree_unpack_end(struct tree_unpack *u, struct err *err)
{
	return tar_reader_finish(&u->reader, err);
}

void tree_unpack_finish(struct tree_unpack *u)
{
	if (u->temporary[0] && u->parent_fd >= 0)
		unlinkat(u->parent_fd, u->temporary, 0);
	u->temporary[0] = '\0';
	cleanup_close(&u->file_fd);
	cleanup_close(&u->parent_fd);
	u->file_fd = u->parent_fd = -1;
}
