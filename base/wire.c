/* The byte cursor; see wire.h. Must never read past `end` nor report success after a fault. */
#include "base/wire.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 512

void wire_reader_init(struct wire_reader *r, const void *data, size_t size)
{
	r->p = data;
	r->end = r->p + size;
	r->error = 0;
}

static const void *take(struct wire_reader *r, size_t size)
{
	const void *at = r->p;

	if (r->error || size > (size_t)(r->end - r->p)) {
		r->error = -EBADMSG;
		return NULL;
	}
	r->p += size;
	return at;
}

uint32_t wire_get_u32(struct wire_reader *r)
{
	const void *at = take(r, sizeof(uint32_t));
	uint32_t value = 0;

	if (at)
		memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	const void *at = take(r, sizeof(uint64_t));
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

const char *wire_get_str(struct wire_reader *r, size_t max)
{
	uint32_t len = wire_get_u32(r);
	const char *s;

	if (len > max) {
		r->error = -EBADMSG;
		return NULL;
	}
	s = take(r, (size_t)len + 1);
	if (s && (s[len] != '\0' || memchr(s, '\0', len))) {
		r->error = -EBADMSG;
		return NULL;
	}
	return s;
}

int wire_reader_end(const struct wire_reader *r)
{
	if (r->error)
		return r->error;
	return r->p == r->end ? 0 : -EBADMSG;
}

void wire_writer_init(struct wire_writer *w, size_t max)
{
	memset(w, 0, sizeof(*w));
	w->max = max;
}

void wire_writer_finish(struct wire_writer *w)
{
	free(w->data);
	memset(w, 0, sizeof(*w));
}

static void put(struct wire_writer *w, const void *data, size_t size)
{
	if (w->error)
		return;
	if (size > w->max - w->size) {
		w->error = -EMSGSIZE;
		return;
	}
	if (size > w->capacity - w->size) {
		size_t capacity = w->capacity ? w->capacity : FIRST_CAPACITY;
		uint8_t *grown;

		while (capacity < w->size + size)
			capacity *= 2;
		grown = realloc(w->data, capacity);
		if (!grown) {
			w->error = -ENOMEM;
			return;
		}
		w->data = grown;
		w->capacity = capacity;
	}
	memcpy(w->data + w->size, data, size);
	w->size += size;
}

void wire_put_u32(struct wire_writer *w, uint32_t value)
{
	value = htole32(value);
	put(w, &value, sizeof(value));
}

void wire_put_u64(struct wire_writer *w, uint64_t value)
{
	value = htole64(value);
	put(w, &value, sizeof(value));
}

void wire_put_str(struct wire_writer *w, const char *s)
{
	size_t len = strlen(s);

	if (len > UINT32_MAX) {
		w->error = -EMSGSIZE;
		return;
	}
	wire_put_u32(w, (uint32_t)len);
	put(w, s, len + 1);
}
