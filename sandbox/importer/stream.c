/*
 * Reading an archive; see stream.h. The trailer of an export is whatever its last bytes are, so
 * those are held back until more have come. Must never let one pass without its checksum: what
 * says at its beginning that it is an export must have one.
 */
#include "sandbox/importer/stream.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

void stream_init(struct stream *s, const struct unpack_config *config)
{
	memset(s, 0, sizeof(*s));
	s->config = config;
	sha256_init(&s->sha);
}

/* Reads until there are more than `least` bytes in the buffer, or no more come. */
static int fill(struct stream *s, size_t least)
{
	memmove(s->buffer, s->buffer + s->gone, s->n - s->gone);
	s->n -= s->gone;
	s->gone = 0;
	while (!s->ended && s->n <= least) {
		ssize_t n = s->config->read(
			s->config->arg, s->buffer + s->n, sizeof(s->buffer) - s->n);

		if (n < 0)
			return (int)n;
		s->ended = n == 0;
		s->n += (size_t)n;
	}
	return 0;
}

/*
 * An export whose beginning is damaged must not pass for an archive without a checksum: zstd would
 * pass over any of its skippable frames. Only pzstd begins with one, the first of them.
 */
static bool is_foreign_frame(const struct stream *s)
{
	return s->n >= 4 && s->buffer[0] > 0x50 && s->buffer[0] <= 0x5f &&
	       !memcmp(s->buffer + 1, &EXPORT_HEADER[1], 3);
}

/* The list lies whole in the buffer, so that it is known before anything is unpacked. */
static int read_list(struct stream *s, struct err *err)
{
	const uint8_t *frame = s->buffer + EXPORT_HEADER_SIZE;
	size_t before = EXPORT_HEADER_SIZE + EXPORT_FRAME_SIZE;
	uint32_t size;
	int r = fill(s, before);

	if (r < 0)
		return err_sys(err, r, "read the archive");
	memcpy(&size, frame + 4, sizeof(size));
	size = le32toh(size);
	if (s->n < before || memcmp(frame, EXPORT_LIST_MAGIC, 4) != 0 ||
		size >= SNAPSHOT_LIST_TEXT_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
			"the file's list of snapshots is damaged");
	r = fill(s, before + size);
	if (r < 0)
		return err_sys(err, r, "read the archive");
	if (s->n < before + size)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED", "the file was cut short");
	return snapshot_list_parse((const char *)s->buffer + before, size, &s->list, err);
}

int stream_begin(struct stream *s, struct err *err)
{
	int r = fill(s, EXPORT_HEADER_SIZE);

	if (r < 0)
		return err_sys(err, r, "read the archive");
	s->has_list = s->n >= EXPORT_HEADER_SIZE &&
		      !memcmp(s->buffer, EXPORT_HEADER_SNAPSHOTS, EXPORT_HEADER_SIZE);
	s->is_export = s->has_list ||
		       (s->n >= EXPORT_HEADER_SIZE &&
			       !memcmp(s->buffer, EXPORT_HEADER, EXPORT_HEADER_SIZE));
	s->is_unknown = !s->is_export && is_foreign_frame(s);
	return s->has_list ? read_list(s, err) : 0;
}

ssize_t stream_read(void *arg, const void **ret_data)
{
	struct stream *s = arg;
	size_t held = s->is_export ? EXPORT_TRAILER_SIZE : 0;
	int r = fill(s, held);

	*ret_data = s->buffer;
	if (r < 0 || s->n <= held || s->is_unknown)
		return r;
	s->gone = s->n - held;
	if (s->is_export)
		sha256_update(&s->sha, s->gone, s->buffer);
	return (ssize_t)s->gone;
}

int stream_check(struct stream *s, struct err *err)
{
	uint8_t trailer[EXPORT_TRAILER_SIZE] = EXPORT_TRAILER_HEADER;
	const void *data;
	ssize_t n;

	if (s->is_unknown)
		return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
			"the file's beginning is damaged, or it is from a later version of Croft");
	if (!s->is_export)
		return 0;
	while ((n = stream_read(s, &data)) > 0)
		;
	if (n < 0)
		return err_sys(err, (int)n, "read the archive");
	sha256_digest(&s->sha, SHA256_DIGEST_SIZE, trailer + 8);
	if (s->n == sizeof(trailer) && !memcmp(s->buffer, trailer, sizeof(trailer)))
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
		"the file is damaged or was cut short: its checksum is not that of its contents");
}
