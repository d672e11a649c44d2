/*
 * The stream that is packed into: pax tars in zstd, between frames that zstd skips: what it is, and
 * the checksum of all before. Must never hold more of it than one block.
 */
#include "sandbox/packer/pack.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_USEC 200000u
#define BUFFER_SIZE   (1u << 20)
#define LEVEL	      "3" /* zstd's own default */

static la_ssize_t write_stream(struct archive *a, void *arg, const void *data, size_t size)
{
	struct pack *pack = arg;
	int r = fd_write_full(pack->out_fd, data, size);

	if (r < 0) {
		pack->write_error = r;
		archive_set_error(a, -r, "write");
		return -1;
	}
	sha256_update(&pack->sha, size, data);
	return (la_ssize_t)size;
}

static int failed(struct pack *pack, struct err *err)
{
	const char *text = pack->archive ? archive_error_string(pack->archive) : NULL;

	if (pack->write_error == -EPIPE)
		return err_set(
			err, ERR_CANCELLED, "EXPORT_CANCELLED", "nobody reads the export any more");
	if (pack->write_error)
		return err_sys(err, pack->write_error, "write the export");
	if (pack->archive && archive_errno(pack->archive) == ENOMEM)
		return err_oom(err);
	return pack_refuse(pack, err, text ? text : "could not be packed");
}

static bool set_up(struct archive *a)
{
	/* Whatever characters an attribute's name has, this form keeps them. */
	return archive_write_add_filter_zstd(a) == ARCHIVE_OK &&
	       archive_write_set_format_pax(a) == ARCHIVE_OK &&
	       archive_write_set_format_option(a, "pax", "xattrheader", "LIBARCHIVE") ==
		       ARCHIVE_OK &&
	       archive_write_set_filter_option(a, "zstd", "compression-level", LEVEL) ==
		       ARCHIVE_OK &&
	       archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK;
}

/* What is between the tars. */
static int write_plain(struct pack *pack, const void *data, size_t size, struct err *err)
{
	pack->write_error = fd_write_full(pack->out_fd, data, size);
	if (pack->write_error)
		return failed(pack, err);
	sha256_update(&pack->sha, size, data);
	return 0;
}

static int write_list(struct pack *pack, const char *list, size_t size, struct err *err)
{
	uint8_t frame[EXPORT_FRAME_SIZE];
	uint32_t length = htole32((uint32_t)size);
	int r;

	memcpy(frame, EXPORT_LIST_MAGIC, 4);
	memcpy(frame + 4, &length, 4);
	r = write_plain(pack, EXPORT_HEADER_SNAPSHOTS, EXPORT_HEADER_SIZE, err);
	if (r == 0)
		r = write_plain(pack, frame, sizeof(frame), err);
	return r < 0 ? r : write_plain(pack, list, size, err);
}

int pack_init(struct pack *pack, int out_fd, const char *list, size_t list_size, struct err *err)
{
	memset(pack, 0, sizeof(*pack));
	pack->out_fd = out_fd;
	sha256_init(&pack->sha);
	pack->entry = archive_entry_new();
	pack->buffer = malloc(BUFFER_SIZE);
	if (!pack->entry || !pack->buffer)
		return err_oom(err);
	return list ? write_list(pack, list, list_size, err)
		    : write_plain(pack, EXPORT_HEADER, EXPORT_HEADER_SIZE, err);
}

int pack_begin_tar(struct pack *pack, struct err *err)
{
	pack->archive = archive_write_new();
	if (!pack->archive)
		return err_oom(err);
	if (!set_up(pack->archive))
		return err_set(err, ERR_INTERNAL, "LIBARCHIVE_LACKS",
			"the host's libarchive lacks pax or zstd");
	if (archive_write_open(pack->archive, pack, NULL, write_stream, NULL) != ARCHIVE_OK)
		return failed(pack, err);
	return 0;
}

void pack_finish(struct pack *pack)
{
	/* Not archive_write_free() alone: that would end a broken stream as if it were whole. */
	if (pack->archive) {
		archive_write_fail(pack->archive);
		archive_write_free(pack->archive);
	}
	archive_entry_free(pack->entry);
	pack_links_clear(&pack->links);
	free(pack->buffer);
}

static int tick(struct pack *pack, struct err *err)
{
	uint64_t now = clock_boot_usec();
	int r;

	if (!pack->progress || now - pack->told_usec < PROGRESS_USEC)
		return 0;
	pack->told_usec = now;
	r = pack->progress(pack->arg, &pack->total);
	return r < 0 ? err_sys(err, r, "report the progress") : 0;
}

int pack_header(struct pack *pack, struct err *err)
{
	int r = archive_write_header(pack->archive, pack->entry);

	/* A name that is no UTF-8 is written as the bytes that it is. */
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return failed(pack, err);
	pack->total.entries++;
	return tick(pack, err);
}

int pack_data(struct pack *pack, const void *data, size_t size, struct err *err)
{
	while (size) {
		la_ssize_t n = archive_write_data(pack->archive, data, size);

		if (n <= 0)
			return failed(pack, err);
		pack->total.bytes += (uint64_t)n;
		size -= (size_t)n;
		data = (const char *)data + n;
	}
	return tick(pack, err);
}

int pack_end_tar(struct pack *pack, struct err *err)
{
	if (archive_write_close(pack->archive) != ARCHIVE_OK)
		return failed(pack, err);
	archive_write_free(pack->archive);
	pack->archive = NULL;
	return 0;
}

int pack_end(struct pack *pack, struct err *err)
{
	uint8_t trailer[EXPORT_TRAILER_SIZE];
	int r;

	memcpy(trailer, EXPORT_TRAILER_HEADER, 8);
	sha256_digest(&pack->sha, SHA256_DIGEST_SIZE, trailer + 8);
	r = fd_write_full(pack->out_fd, trailer, sizeof(trailer));
	pack->write_error = r;
	return r < 0 ? failed(pack, err) : 0;
}
