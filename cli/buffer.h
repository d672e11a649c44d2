/* A growing run of bytes, filled at its end and taken from its front. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data; /* owned */
	size_t start;  /* first byte not yet taken */
	size_t end;    /* behind the last byte */
	size_t capacity;
};

void buffer_finish(struct buffer *b);

static inline size_t buffer_size(const struct buffer *b)
{
	return b->end - b->start;
}

/* The first byte; NULL when nothing was ever put in. */
static inline const uint8_t *buffer_bytes(const struct buffer *b)
{
	return b->data ? b->data + b->start : NULL;
}

/* Makes room for size more bytes and returns where they go, or NULL without memory. */
uint8_t *buffer_reserve(struct buffer *b, size_t size);

/* Appends bytes. Returns 0 or -ENOMEM. */
int buffer_append(struct buffer *b, const void *data, size_t size);

/* Takes size bytes (at most buffer_size()) off the front. */
void buffer_take(struct buffer *b, size_t size);
