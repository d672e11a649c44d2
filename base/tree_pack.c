/*
 * A walk that writes tar; see tree_pack.h. The tree may change under it, and be hostile: everything
 * is opened without following links and without waiting (a FIFO in a file's place), and what was
 * opened is what is looked at.
 */
#include "base/tree_pack.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (64u << 10)

struct pack {
	const struct tree_sink *sink;
	struct tree_report report;
	struct tar_entry entry; /* its path grows and shrinks with the walk */
	uint8_t header[TAR_HEADER_MAX];
	uint8_t chunk[CHUNK];
	uint8_t *unsized; /* TREE_UNSIZED_MAX and one byte, when first needed */
	unsigned depth;
};

static int failed(const struct pack *p, int e, struct err *err)
{
	return err_set(err,
		e == EACCES || e == EPERM ? ERR_PERMISSION_DENIED : ERR_FAILED_PRECONDITION,
		"FILE_UNREADABLE", "%.300s: %s", p->entry.path, strerror(e));
}

static int put(struct pack *p, const void *data, size_t size, struct err *err)
{
	return size ? p->sink->write(p->sink->arg, data, size, err) : 0;
}

static int put_header(struct pack *p, struct err *err)
{
	ssize_t n = tar_format(&p->entry, p->header);

	if (n < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "NAME_TOO_LONG",
			"%.100s...: its name is too long for an archive", p->entry.path);
	p->report.entries++;
	return put(p, p->header, (size_t)n, err);
}

/* As many bytes as the header said, whatever the file has become. */
static int put_content(struct pack *p, int fd, struct err *err)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint64_t left = p->entry.size;
	int r = 0;

	while (left && r == 0) {
		ssize_t n = read(fd, p->chunk, left < CHUNK ? (size_t)left : CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(p, errno, err);
		if (n == 0)
			return err_set(err, ERR_FAILED_PRECONDITION, "FILE_CHANGED",
				"%.300s became shorter while it was read; try again",
				p->entry.path);
		left -= (uint64_t)n;
		p->report.bytes += (uint64_t)n;
		r = put(p, p->chunk, (size_t)n, err);
	}
	return r < 0 ? r : put(p, zeros, tar_padding(p->entry.size), err);
}

static int put_whole(struct pack *p, const uint8_t *data, size_t size, struct err *err)
{
	static const uint8_t zeros[TAR_BLOCK];
	int r;

	p->entry.size = size;
	p->report.bytes += size;
	r = put_header(p, err);
	if (r == 0)
		r = put(p, data, size, err);
	return r < 0 ? r : put(p, zeros, tar_padding(size), err);
}

static void leave_out(struct pack *p, enum tree_left_out_kind kind)
{
	tree_left_out_add(&p->report.left_out, kind, p->entry.path);
}

/* An empty file, or one of the kernel's: one of those that cannot be read is no end of a walk. */
static int pack_unsized(struct pack *p, int fd, struct err *err)
{
	ssize_t n;

	if (!p->unsized)
		p->unsized = malloc(TREE_UNSIZED_MAX + 1);
	if (!p->unsized)
		return err_oom(err);
	n = fd_read_full(fd, p->unsized, TREE_UNSIZED_MAX + 1);
	if (n < 0 && !p->depth)
		return failed(p, (int)-n, err);
	if (n > (ssize_t)TREE_UNSIZED_MAX && !p->depth)
		return err_set(err, ERR_FAILED_PRECONDITION, "FILE_ENDLESS",
			"%.300s does not say how large it is, and has more than %u bytes",
			p->entry.path, TREE_UNSIZED_MAX);
	if (n < 0 || n > (ssize_t)TREE_UNSIZED_MAX) {
		leave_out(p, n < 0 ? LEFT_OUT_UNREADABLE : LEFT_OUT_ENDLESS);
		return 0;
	}
	return put_whole(p, p->unsized, (size_t)n, err);
}

static int pack_file(struct pack *p, int fd, struct err *err)
{
	ssize_t n;
	int r;

	p->entry.type = TAR_FILE;
	if (!p->entry.size)
		return pack_unsized(p, fd, err);
	if (p->entry.size <= CHUNK) {
		/* Also what says more than it has, as sysfs does. */
		n = fd_read_full(fd, p->chunk, (size_t)p->entry.size);
		return n < 0 ? failed(p, (int)-n, err) : put_whole(p, p->chunk, (size_t)n, err);
	}
	r = put_header(p, err);
	return r < 0 ? r : put_content(p, fd, err);
}

static int pack_one(struct pack *p, int dirfd, const char *name, bool follow, struct err *err);

static int pack_children(struct pack *p, int *fd, struct err *err)
{
	_cleanup_closedir_ DIR *dir = fdopendir(*fd);
	size_t len = strlen(p->entry.path);
	struct dirent *de;
	int r = 0;

	if (!dir)
		return failed(p, errno, err);
	*fd = -1; /* the stream's */
	if (++p->depth > TREE_DEPTH_MAX)
		return err_set(err, ERR_FAILED_PRECONDITION, "TREE_TOO_DEEP",
			"%.100s...: more than %d directories within one another", p->entry.path,
			TREE_DEPTH_MAX);
	while (r == 0 && (errno = 0, de = readdir(dir))) {
		int n;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		n = snprintf(p->entry.path + len, sizeof(p->entry.path) - len, "/%s", de->d_name);
		if (n < 0 || (size_t)n >= sizeof(p->entry.path) - len)
			r = failed(p, ENAMETOOLONG, err);
		else
			r = pack_one(p, dirfd(dir), de->d_name, false, err);
		p->entry.path[len] = '\0';
	}
	if (r == 0 && errno)
		r = failed(p, errno, err);
	p->depth--;
	return r;
}

static int pack_link(struct pack *p, int dirfd, const char *name, struct err *err)
{
	ssize_t n = readlinkat(dirfd, name, p->entry.target, sizeof(p->entry.target));

	if (n < 0)
		return failed(p, errno, err);
	if ((size_t)n >= sizeof(p->entry.target))
		return failed(p, ENAMETOOLONG, err);
	p->entry.target[n] = '\0';
	p->entry.type = TAR_SYMLINK;
	p->entry.size = 0;
	return put_header(p, err);
}

static void take_metadata(struct pack *p, const struct stat *st)
{
	p->entry.mode = st->st_mode & 07777;
	p->entry.mtime = st->st_mtim.tv_sec;
	p->entry.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
	p->entry.target[0] = '\0';
}

static enum tree_left_out_kind kind_of(mode_t mode)
{
	if (S_ISFIFO(mode))
		return LEFT_OUT_FIFO;
	return S_ISSOCK(mode) ? LEFT_OUT_SOCKET : LEFT_OUT_DEVICE;
}

static int pack_one(struct pack *p, int dirfd, const char *name, bool follow, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (fstatat(dirfd, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return failed(p, errno, err);
	take_metadata(p, &st);
	if (S_ISLNK(st.st_mode))
		return pack_link(p, dirfd, name, err);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		leave_out(p, kind_of(st.st_mode));
		return 0;
	}
	fd = openat(dirfd, name,
		O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	if (fd < 0 && S_ISREG(st.st_mode) && !st.st_size && p->depth) {
		leave_out(p, LEFT_OUT_UNREADABLE);
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(p, errno, err);
	take_metadata(p, &st);
	if (S_ISREG(st.st_mode))
		return pack_file(p, fd, err);
	if (S_ISDIR(st.st_mode)) {
		p->entry.type = TAR_DIRECTORY;
		int r = put_header(p, err);

		return r < 0 ? r : pack_children(p, &fd, err);
	}
	leave_out(p, kind_of(st.st_mode));
	return 0;
}

int tree_pack(int dirfd, const char *name, bool follow, const char *as,
	const struct tree_sink *sink, struct tree_report *ret_report, struct err *err)
{
	static const uint8_t end[TAR_END_SIZE];
	_cleanup_free_ struct pack *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_oom(err);
	p->sink = sink;
	snprintf(p->entry.path, sizeof(p->entry.path), "%s", as);
	r = pack_one(p, dirfd, name, follow, err);
	if (r == 0 && !p->report.entries)
		r = err_set(err, ERR_FAILED_PRECONDITION, "FILE_SPECIAL",
			"%.300s is neither a file, a directory nor a link", as);
	if (r == 0)
		r = put(p, end, sizeof(end), err);
	if (r == 0)
		*ret_report = p->report;
	free(p->unsized);
	return r;
}
