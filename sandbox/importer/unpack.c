/*
 * The archive's stream; see unpack.h. libarchive decodes it, unpack_entry.c makes the files. Must
 * never enable a format or filter beyond those named here, nor write without counting.
 */
#include "sandbox/importer/unpack.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sandbox/importer/unpack_internal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define READ_SIZE     (256u << 10)
#define PROGRESS_USEC 200000u
#define DIR_PATHS_MAX (256u << 20) /* names of directories, for their times */
#define FILTERS_MAX   2		   /* one compression, and the file itself */

struct stream {
	struct unpack *unpack;
	char buffer[READ_SIZE];
};

static la_ssize_t read_stream(struct archive *a, void *arg, const void **ret_data)
{
	struct stream *stream = arg;
	struct unpack *u = stream->unpack;
	ssize_t n = u->config->read(u->config->arg, stream->buffer, sizeof(stream->buffer));

	if (n < 0) {
		u->read_error = (int)n;
		archive_set_error(a, (int)-n, "read");
		return ARCHIVE_FATAL;
	}
	*ret_data = stream->buffer;
	return n;
}

int unpack_archive_error(struct unpack *u, struct err *err)
{
	if (u->read_error)
		return err_sys(err, u->read_error, "read the archive");
	if (archive_errno(u->archive) == ENOMEM)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive needs more memory to decompress than an import may have; "
			"compress it with a smaller dictionary or window");
	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
		"not a whole tar archive (plain, gzip, xz or zstd): %s",
		archive_error_string(u->archive) ? archive_error_string(u->archive) : "damaged");
}

int unpack_check_limits(const struct unpack *u, struct err *err)
{
	const struct image_limits *limits = &u->config->limits;

	if (u->report->bytes > limits->bytes)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
			"the archive unpacks to more than the %llu bytes that an image may have",
			(unsigned long long)limits->bytes);
	if (u->report->entries + u->tree.made > limits->entries)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
			"the archive has more than the %llu entries that an image may have",
			(unsigned long long)limits->entries);
	return 0;
}

int unpack_tick(struct unpack *u, struct err *err)
{
	uint64_t now = clock_boot_usec();
	int r;

	if (!u->config->progress || now - u->last_progress_usec < PROGRESS_USEC)
		return 0;
	u->last_progress_usec = now;
	r = u->config->progress(u->config->arg, u->report);
	return r < 0 ? err_sys(err, r, "report the progress") : 0;
}

static int grow(void **data, size_t *capacity, size_t wanted, size_t item)
{
	size_t n = *capacity;
	void *p;

	if (wanted <= n)
		return 0;
	while (n < wanted)
		n = n ? n * 2 : 1024;
	p = reallocarray(*data, n, item);
	if (!p)
		return -ENOMEM;
	*data = p;
	*capacity = n;
	return 0;
}

int dir_times_add(
	struct dir_times *times, const char *path, const struct timespec *mtime, struct err *err)
{
	size_t size = strlen(path) + 1;

	if (mtime->tv_nsec == UTIME_OMIT)
		return 0;
	if (times->paths_size + size > DIR_PATHS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
			"the names of the archive's directories are too long altogether");
	if (grow((void **)&times->paths, &times->paths_capacity, times->paths_size + size, 1) < 0 ||
		grow((void **)&times->items, &times->capacity, times->n + 1,
			sizeof(*times->items)) < 0)
		return err_oom(err);
	memcpy(times->paths + times->paths_size, path, size);
	times->items[times->n++] = (struct dir_time){.mtime = *mtime, .path = times->paths_size};
	times->paths_size += size;
	return 0;
}

static void apply_dir_times(struct unpack *u)
{
	for (size_t i = 0; i < u->times.n; i++) {
		const struct dir_time *t = &u->times.items[i];
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, t->mtime};
		_cleanup_close_ int fd = tree_open(
			&u->tree, u->times.paths + t->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

		/* What became of the directory since is the archive's doing: no error. */
		if (fd >= 0)
			futimens(fd, times);
	}
}

static int open_archive(struct unpack *u, struct stream *stream, struct err *err)
{
	struct archive *a = u->archive;

	if (archive_read_support_format_tar(a) < ARCHIVE_WARN ||
		archive_read_support_filter_gzip(a) < ARCHIVE_WARN ||
		archive_read_support_filter_xz(a) < ARCHIVE_WARN ||
		archive_read_support_filter_zstd(a) < ARCHIVE_WARN)
		return err_set(err, ERR_INTERNAL, "LIBARCHIVE_LACKS",
			"the host's libarchive lacks tar, gzip, xz or zstd");
	if (archive_read_open(a, stream, NULL, read_stream, NULL) < ARCHIVE_WARN)
		return unpack_archive_error(u, err);
	if (archive_filter_count(a) > FILTERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive is compressed more than once; compress it once");
	return 0;
}

/*
 * RETRY would go on behind a damaged header, and some warnings are about attributes that were
 * dropped as malformed: neither is an image that somebody packed. A name that is no UTF-8 is.
 */
static bool is_usable(struct archive *a, int r)
{
	return r == ARCHIVE_OK || (r == ARCHIVE_WARN && archive_errno(a) == EILSEQ);
}

static int read_entries(struct unpack *u, struct err *err)
{
	struct archive_entry *entry;
	int r;

	for (;;) {
		r = archive_read_next_header(u->archive, &entry);
		if (r == ARCHIVE_EOF)
			return 0;
		if (!is_usable(u->archive, r))
			return unpack_archive_error(u, err);
		u->report->entries++;
		r = unpack_check_limits(u, err);
		if (r == 0)
			r = unpack_entry(u, entry, err);
		if (r == 0)
			r = unpack_tick(u, err);
		if (r < 0)
			return r;
	}
}

/*
 * libarchive takes the end of the stream at a header's place for the end of the archive. A whole
 * archive has a block of zeros there, which it reads beyond that place.
 */
static int check_end(struct unpack *u, struct err *err)
{
	if (u->report->entries == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID", "the archive is empty");
	if (archive_filter_bytes(u->archive, 0) <= archive_read_header_position(u->archive))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive ends without its end mark: it has been cut short");
	return unpack_check_limits(u, err);
}

static void cleanup_archive(struct archive **a)
{
	archive_read_free(*a);
}

int unpack_run(
	int root_fd, const struct unpack_config *config, struct image_report *ret, struct err *err)
{
	_cleanup_free_ struct stream *stream = malloc(sizeof(*stream));
	_cleanup_(cleanup_archive) struct archive *archive = archive_read_new();
	struct unpack u = {.config = config, .archive = archive, .report = ret};
	int r;

	if (!archive || !stream)
		return err_oom(err);
	memset(ret, 0, sizeof(*ret));
	stream->unpack = &u;
	tree_init(&u.tree, root_fd);
	r = open_archive(&u, stream, err);
	if (r == 0)
		r = read_entries(&u, err);
	if (r == 0)
		r = check_end(&u, err);
	if (r == 0)
		apply_dir_times(&u);
	tree_finish(&u.tree);
	free(u.times.items);
	free(u.times.paths);
	return r;
}
