/*
 * Archives to be sent; see archive_source.h. Holds one file open at a time, and never more of it
 * in memory than is asked for.
 */
#include "cli/archive_source.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/split_image.h"
#include "base/tar.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PARTS_MAX     8192 /* as the importer has it */
#define PART_NAME_MAX 100  /* what a ustar header holds */

/* A file of the tar that is made. */
struct part {
	char name[PART_NAME_MAX]; /* in the tar */
	char *path;		  /* owned; relative to dir_fd */
	uint64_t size;
};

struct archive_source {
	int fd;	      /* sent as it is; -1: a tar of the parts */
	int dir_fd;   /* where the parts lie; AT_FDCWD for paths of the user's */
	int ready_fd; /* readable at any time */
	uint64_t total;
	struct part *parts;
	size_t n_parts;
	size_t next;	   /* the part to begin */
	int part_fd;	   /* the part that is being read; -1: none */
	uint64_t left;	   /* of its contents */
	size_t zeros_left; /* behind it, or at the end */
	bool ended;
};

static struct archive_source *new_source(void)
{
	struct archive_source *s = calloc(1, sizeof(*s));

	if (s)
		s->fd = s->part_fd = s->ready_fd = s->dir_fd = -1;
	return s;
}

void archive_source_close(struct archive_source *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_parts; i++)
		free(s->parts[i].path);
	free(s->parts);
	close_fd(&s->fd);
	close_fd(&s->part_fd);
	close_fd(&s->ready_fd);
	close_fd(&s->dir_fd);
	free(s);
}

int archive_source_of_fd(int fd, struct archive_source **ret, struct err *err)
{
	_cleanup_close_ int own = fd;
	struct archive_source *s = new_source();
	struct stat st;

	if (!s)
		return err_oom(err);
	s->fd = take_fd(&own);
	if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode))
		s->total = (uint64_t)st.st_size;
	*ret = s;
	return 0;
}

static int open_file(int dir_fd, const char *path, struct stat *ret, struct err *err)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) < 0)
		return err_sys(err, errno, "open %s", path);
	return take_fd(&fd);
}

/* Notes a regular file as the tar's next. Returns 0, -errno, or 1 for what is none. */
static int add_part(struct archive_source *s, const char *name, const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct part *parts;
	struct stat st;
	char *copy;

	fd = open_file(s->dir_fd < 0 ? AT_FDCWD : s->dir_fd, path, &st, err);
	if (fd < 0)
		return fd;
	if (!S_ISREG(st.st_mode) || strlen(name) >= PART_NAME_MAX)
		return 1;
	if (s->n_parts == PARTS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "TOO_MANY_FILES",
			"there are more than %d files in the layout", PARTS_MAX);
	parts = reallocarray(s->parts, s->n_parts + 1, sizeof(*parts));
	copy = strdup(path);
	if (parts)
		s->parts = parts;
	if (!parts || !copy) {
		free(copy);
		return err_oom(err);
	}
	parts += s->n_parts++;
	*parts = (struct part){.path = copy, .size = (uint64_t)st.st_size};
	memcpy(parts->name, name, strlen(name) + 1);
	s->total += parts->size;
	if (s->ready_fd < 0)
		s->ready_fd = take_fd(&fd);
	return 0;
}

int archive_source_open_split(
	const char *metadata, const char *rootfs, struct archive_source **ret, struct err *err)
{
	_cleanup_archive_source_ struct archive_source *s = new_source();
	int r;

	if (!s)
		return err_oom(err);
	r = add_part(s, SPLIT_IMAGE_METADATA, metadata, err);
	if (r == 0)
		r = add_part(s, SPLIT_IMAGE_ROOTFS, rootfs, err);
	if (r > 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "FILE_INVALID",
			"of a split image, both archives must be files");
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

static int add_blobs(struct archive_source *s, struct err *err)
{
	static const char blobs[] = "blobs/sha256";
	int fd = openat(s->dir_fd, blobs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir)
		return err_sys(err, errno, "open the layout's %s", blobs);
	while ((entry = readdir(dir))) {
		char name[sizeof(blobs) + NAME_MAX + 1];
		int r;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", blobs, entry->d_name);
		r = add_part(s, name, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_layout(int dir_fd, const char *path, struct archive_source **ret, struct err *err)
{
	_cleanup_archive_source_ struct archive_source *s = new_source();
	_cleanup_close_ int own = dir_fd;
	int r;

	if (!s)
		return err_oom(err);
	s->dir_fd = take_fd(&own);
	if (faccessat(s->dir_fd, "oci-layout", R_OK, 0) < 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "FILE_INVALID",
			"%s is a directory without an OCI image layout; name an archive", path);
	r = add_part(s, "oci-layout", "oci-layout", err);
	if (r == 0)
		r = add_part(s, "index.json", "index.json", err);
	if (r > 0)
		r = err_set(err, ERR_INVALID_ARGUMENT, "FILE_INVALID",
			"the layout's oci-layout or index.json is no file");
	if (r == 0)
		r = add_blobs(s, err);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

int archive_source_open(const char *path, struct archive_source **ret, struct err *err)
{
	struct stat st;
	int fd;

	if (!strcmp(path, "-")) {
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return err_sys(err, errno, "read standard input");
		return archive_source_of_fd(fd, ret, err);
	}
	fd = open_file(AT_FDCWD, path, &st, err);
	if (fd < 0)
		return fd;
	return S_ISDIR(st.st_mode) ? open_layout(fd, path, ret, err)
				   : archive_source_of_fd(fd, ret, err);
}

int archive_source_poll_fd(const struct archive_source *s)
{
	return s->fd >= 0 ? s->fd : s->ready_fd;
}

uint64_t archive_source_size(const struct archive_source *s)
{
	return s->total;
}

/* --- the tar, made as it is read --- */

/* Writes the next part's header, or begins the end. */
static ssize_t begin_part(struct archive_source *s, void *buf, struct err *err)
{
	const struct part *part = &s->parts[s->next];
	struct tar_entry e = {.type = TAR_FILE, .mode = 0644};
	struct stat st;
	ssize_t n;
	int r;

	if (s->next == s->n_parts) {
		s->zeros_left = TAR_END_SIZE;
		s->ended = true;
		return 0;
	}
	snprintf(e.path, sizeof(e.path), "%s", part->name);
	e.size = part->size;
	n = tar_format(&e, buf);
	if (n < 0)
		return err_sys(err, (int)n, "pack %s", part->path);
	r = open_file(s->dir_fd < 0 ? AT_FDCWD : s->dir_fd, part->path, &st, err);
	if (r < 0)
		return r;
	s->part_fd = r;
	s->left = part->size;
	s->zeros_left = tar_padding(part->size);
	s->next++;
	return n;
}

static ssize_t read_part(struct archive_source *s, void *buf, size_t size, struct err *err)
{
	ssize_t n = read(s->part_fd, buf, size < s->left ? size : (size_t)s->left);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : err_sys(err, errno, "read the archive");
	if (n == 0)
		return err_set(err, ERR_ABORTED, "FILE_CHANGED",
			"%s became shorter while it was read", s->parts[s->next - 1].path);
	s->left -= (uint64_t)n;
	return n;
}

static ssize_t read_tar(struct archive_source *s, void *buf, size_t size, struct err *err)
{
	if (s->part_fd >= 0 && s->left)
		return read_part(s, buf, size, err);
	close_fd(&s->part_fd);
	if (!s->zeros_left && !s->ended) {
		ssize_t n = begin_part(s, buf, err);

		if (n)
			return n;
	}
	if (size > s->zeros_left)
		size = s->zeros_left;
	memset(buf, 0, size);
	s->zeros_left -= size;
	return (ssize_t)size;
}

ssize_t archive_source_read(struct archive_source *s, void *buf, size_t size, struct err *err)
{
	ssize_t n;

	if (s->fd < 0)
		return read_tar(s, buf, size, err);
	n = read(s->fd, buf, size);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return -EAGAIN;
	return n < 0 ? err_sys(err, errno, "read the archive") : n;
}
