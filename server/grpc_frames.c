/*
 * Length-prefixed messages; see grpc_frames.h. Memory follows the bytes that arrived: a prefix
 * that announces 4 MiB must never cost 4 MiB by itself.
 */
#include "server/grpc_frames.h"

#include "server/grpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN	 1024u
#define BUF_KEEP (64u << 10) /* an empty queue keeps at most this much memory */

void grpc_buf_finish(struct grpc_buf *b)
{
	free(b->data);
	*b = (struct grpc_buf){0};
}

uint8_t *grpc_buf_reserve(struct grpc_buf *b, size_t size)
{
	size_t used = grpc_buf_size(b);
	size_t capacity;
	uint8_t *data;

	if (b->capacity - b->end >= size)
		return b->data + b->end;
	/* Moving what is left to the front is only worth it while it is the smaller part. */
	if (b->capacity - used >= size && used <= b->start) {
		memcpy(b->data, b->data + b->start, used);
		b->start = 0;
		b->end = used;
		return b->data + used;
	}
	capacity = b->capacity < BUF_MIN ? BUF_MIN : b->capacity * 2;
	while (capacity < used + size)
		capacity *= 2;
	data = malloc(capacity);
	if (!data)
		return NULL;
	if (used)
		memcpy(data, b->data + b->start, used);
	free(b->data);
	*b = (struct grpc_buf){.data = data, .end = used, .capacity = capacity};
	return data + used;
}

void grpc_buf_commit(struct grpc_buf *b, size_t size)
{
	b->end += size;
}

int grpc_buf_append(struct grpc_buf *b, const void *data, size_t size)
{
	uint8_t *room;

	if (!size)
		return 0;
	room = grpc_buf_reserve(b, size);
	if (!room)
		return -ENOMEM;
	memcpy(room, data, size);
	grpc_buf_commit(b, size);
	return 0;
}

void grpc_buf_consume(struct grpc_buf *b, size_t size)
{
	b->start += size;
	if (b->start < b->end)
		return;
	b->start = 0;
	b->end = 0;
	if (b->capacity > BUF_KEEP)
		grpc_buf_finish(b);
}

void grpc_frames_put_prefix(uint8_t out[static GRPC_PREFIX_SIZE], uint32_t size)
{
	out[0] = 0;
	out[1] = (uint8_t)(size >> 24);
	out[2] = (uint8_t)(size >> 16);
	out[3] = (uint8_t)(size >> 8);
	out[4] = (uint8_t)size;
}

void grpc_deframer_finish(struct grpc_deframer *d)
{
	grpc_buf_finish(&d->body);
	*d = (struct grpc_deframer){0};
}

static int parse_prefix(struct grpc_deframer *d, struct err *err)
{
	const uint8_t *p = d->prefix;

	d->message_size = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	if (p[0] == 1)
		return err_set(err, ERR_INTERNAL, "COMPRESSED_MESSAGE",
			"a message is marked as compressed, but the call names no encoding: send "
			"it uncompressed");
	if (p[0])
		return err_set(err, ERR_INTERNAL, "BAD_MESSAGE_FLAG",
			"a message begins with the unknown flag %u: only 0 is defined here", p[0]);
	if (d->message_size > GRPC_MESSAGE_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
			"a message of %u bytes is larger than the %u that are allowed: send "
			"smaller ones",
			d->message_size, GRPC_MESSAGE_MAX);
	return 0;
}

int grpc_deframer_next(struct grpc_deframer *d, const uint8_t **data, size_t *size,
	const uint8_t **ret_message, size_t *ret_size, struct err *err)
{
	size_t want, take;
	int r;

	if (d->delivered) {
		grpc_buf_consume(&d->body, grpc_buf_size(&d->body));
		d->delivered = false;
	}
	while (d->n_prefix < GRPC_PREFIX_SIZE) {
		if (!*size)
			return 0;
		d->prefix[d->n_prefix++] = *(*data)++;
		--*size;
		if (d->n_prefix < GRPC_PREFIX_SIZE)
			continue;
		r = parse_prefix(d, err);
		if (r < 0)
			return r;
	}
	want = d->message_size - grpc_buf_size(&d->body);
	take = want < *size ? want : *size;
	if (take == d->message_size) { /* whole where it lies: no copy */
		*ret_message = *data;
	} else {
		if (grpc_buf_append(&d->body, *data, take) < 0)
			return err_oom(err);
		*ret_message = d->body.data;
		d->delivered = take == want;
	}
	*data += take;
	*size -= take;
	if (take < want)
		return 0;
	*ret_size = d->message_size;
	d->n_prefix = 0;
	return 1;
}

bool grpc_deframer_is_between(const struct grpc_deframer *d)
{
	return d->n_prefix == 0;
}
