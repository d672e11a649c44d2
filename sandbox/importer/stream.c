/*
 * Reading an archive; see stream.h. The trailer of an export is whatever its last bytes are, so
 * those are held back until more have come. Must never let one pass without its checksum: what
 * says at its beginning that it is an export must have one.
 */
#include "sandbox/importer/stream.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* Of a zstd frame (RFC 8878, 3.1.1); what skippable frames are is in docs/EXPORT-FORMAT.md. */
#define ZSTD_MAGIC "\x28\xb5\x2f\xfd"

#define GET_AGAIN "copy it again from where it is whole, or export the container again"

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
			"the file's list of snapshots is damaged: " GET_AGAIN);
	r = fill(s, before + size);
	if (r < 0)
		return err_sys(err, r, "read the archive");
	if (s->n < before + size)
		return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
			"the file was cut short: " GET_AGAIN);
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
	s->is_bare = !s->is_export && s->n >= 4 && !memcmp(s->buffer, ZSTD_MAGIC, 4);
	return s->has_list ? read_list(s, err) : 0;
}

static bool is_trailer(const struct stream *s)
{
	return s->n == EXPORT_TRAILER_SIZE &&
	       !memcmp(s->buffer, EXPORT_TRAILER_HEADER, EXPORT_FRAME_SIZE);
}

bool stream_has_end(const struct stream *s)
{
	return s->is_export || s->is_bare;
}

ssize_t stream_read(void *arg, const void **ret_data)
{
	struct stream *s = arg;
	size_t held = stream_has_end(s) ? EXPORT_TRAILER_SIZE : 0;
	int r = fill(s, held);

	*ret_data = s->buffer;
	if (s->is_bare && s->ended && !is_trailer(s))
		held = 0;
	if (r < 0 || s->n <= held || s->is_unknown)
		return r;
	s->gone = s->n - held;
	if (s->is_export)
		sha256_update(&s->sha, s->gone, s->buffer);
	return (ssize_t)s->gone;
}

int stream_damaged(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
		"the file is damaged or was cut short: " GET_AGAIN);
}

int stream_check(struct stream *s, struct err *err)
{
	uint8_t trailer[EXPORT_TRAILER_SIZE] = EXPORT_TRAILER_HEADER;
	const void *data;
	ssize_t n;

	if (s->is_unknown)
		return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
			"the file's beginning is damaged, or it is from a later version of "
			"Croft: " GET_AGAIN);
	if (!stream_has_end(s))
		return 0;
	while ((n = stream_read(s, &data)) > 0)
		;
	if (n < 0)
		return err_sys(err, (int)n, "read the archive");
	if (s->is_bare && !is_trailer(s))
		return 0;
	if (s->is_bare)
		return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
			"the file ends as an export of Croft and does not begin as "
			"one: " GET_AGAIN);
	sha256_digest(&s->sha, SHA256_DIGEST_SIZE, trailer + 8);
	if (s->n == sizeof(trailer) && !memcmp(s->buffer, trailer, sizeof(trailer)))
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
		"the file is damaged or was cut short, as its checksum is not that of its "
		"contents: " GET_AGAIN);
}
