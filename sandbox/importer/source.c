/*
 * Archives as libarchive reads them; see source.h. Must never enable a format or compression
 * beyond those named here.
 */
#include "sandbox/importer/source.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define FILTERS_MAX 2 /* one compression, and the file itself */

static la_ssize_t read_source(struct archive *a, void *arg, const void **ret_data)
{
	struct source *source = arg;
	ssize_t n = source->read(source->arg, ret_data);

	if (n < 0) {
		source->read_error = (int)n;
		archive_set_error(a, (int)-n, "read");
		return ARCHIVE_FATAL;
	}
	if (source->n_head < SOURCE_HEAD_SIZE && n > 0) {
		size_t wanted = SOURCE_HEAD_SIZE - source->n_head;
		size_t more = (size_t)n < wanted ? (size_t)n : wanted;

		memcpy(source->head + source->n_head, *ret_data, more);
		source->n_head += more;
	}
	return n;
}

static bool starts_with(const struct source *source, const char *magic)
{
	size_t n = strlen(magic);

	return source->n_head >= n && !memcmp(source->head, magic, n);
}

int source_error(struct source *source, struct err *err)
{
	const char *text = source->archive ? archive_error_string(source->archive) : NULL;

	if (source->read_error)
		return err_sys(err, source->read_error, "read the archive");
	if (starts_with(source, "hsqs"))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"this is a squashfs, which is not read here: turn it into a tar with "
			"`sqfs2tar` (Debian's squashfs-tools-ng)");
	if (source->archive && archive_errno(source->archive) == ENOMEM)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive needs more memory to decompress than an import may have; "
			"compress it with a smaller dictionary or window");
	source->damaged = true;
	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
		"the archive is damaged or cut short, or is no tar (plain, gzip, xz or zstd): "
		"get it again from where it is from (%s)",
		text ? text : "it ends early");
}

static bool enable(struct archive *a, enum source_kind kind)
{
	int format = kind == SOURCE_BYTES ? archive_read_support_format_raw(a)
					  : archive_read_support_format_tar(a);

	/* What decompresses to nothing is an entry of no bytes, not a fault. */
	if (kind == SOURCE_BYTES && archive_read_support_format_empty(a) < ARCHIVE_WARN)
		return false;
	if (format < ARCHIVE_WARN)
		return false;
	if (kind == SOURCE_TARS && archive_read_set_format_option(a, "tar",
					   "read_concatenated_archives", "1") != ARCHIVE_OK)
		return false;
	return kind == SOURCE_PLAIN_TAR ||
	       (archive_read_support_filter_gzip(a) >= ARCHIVE_WARN &&
		       archive_read_support_filter_xz(a) >= ARCHIVE_WARN &&
		       archive_read_support_filter_zstd(a) >= ARCHIVE_WARN);
}

int source_open(struct source *source, enum source_kind kind, source_read_fn read, void *arg,
	struct err *err)
{
	struct archive *a = archive_read_new();

	*source = (struct source){.read = read, .arg = arg, .archive = a};
	if (!a)
		return err_oom(err);
	if (!enable(a, kind))
		return err_set(err, ERR_INTERNAL, "LIBARCHIVE_LACKS",
			"the host's libarchive lacks tar, gzip, xz or zstd");
	if (archive_read_open(a, source, NULL, read_source, NULL) < ARCHIVE_WARN)
		return source_error(source, err);
	if (archive_filter_count(a) > FILTERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive is compressed more than once; compress it once");
	return 0;
}

void source_close(struct source *source)
{
	if (source->archive)
		archive_read_free(source->archive);
	source->archive = NULL;
}

/*
 * RETRY would go on behind a damaged header, and some warnings are about attributes that were
 * dropped as malformed: neither is an image that somebody packed. A name that is no UTF-8 is.
 */
static bool is_usable(struct archive *a, int r)
{
	return r == ARCHIVE_OK || (r == ARCHIVE_WARN && archive_errno(a) == EILSEQ);
}

int source_next(struct source *source, struct archive_entry **ret, struct err *err)
{
	int r = archive_read_next_header(source->archive, ret);

	if (r == ARCHIVE_EOF)
		return 0;
	return is_usable(source->archive, r) ? 1 : source_error(source, err);
}

int source_check_end(const struct source *source, struct err *err)
{
	if (archive_filter_bytes(source->archive, 0) <=
		archive_read_header_position(source->archive))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive ends without its end mark: it has been cut short");
	return 0;
}
