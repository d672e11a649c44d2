/* Byte queues; see buffer.h. Whoever fills one bounds it: this file only grows it. */
#include "cli/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void buffer_finish(struct buffer *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

uint8_t *buffer_reserve(struct buffer *b, size_t size)
{
	size_t used = buffer_size(b);
	size_t capacity = b->capacity ? b->capacity : 4096;
	uint8_t *data;

	if (b->start && b->capacity - b->end < size) {
		memmove(b->data, b->data + b->start, used);
		b->start = 0;
		b->end = used;
	}
	if (b->capacity - b->end >= size && b->data)
		return b->data + b->end;
	while (capacity - used < size) {
		if (capacity > SIZE_MAX / 2)
			return NULL;
		capacity *= 2;
	}
	data = realloc(b->data, capacity);
	if (!data)
		return NULL;
	b->data = data;
	b->capacity = capacity;
	return b->data + b->end;
}

int buffer_append(struct buffer *b, const void *data, size_t size)
{
	uint8_t *to;

	if (!size)
		return 0;
	to = buffer_reserve(b, size);
	if (!to)
		return -ENOMEM;
	memcpy(to, data, size);
	b->end += size;
	return 0;
}

void buffer_take(struct buffer *b, size_t size)
{
	b->start += size;
	if (b->start == b->end)
		b->start = b->end = 0;
}
