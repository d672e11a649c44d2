/*
 * A parsing and building cursor over bytes, with a sticky error that is checked once at the end.
 *
 * Numbers are little-endian, strings and byte runs are a u32 length and the bytes. A reader never
 * passes the end: after the first fault every read gives 0 or NULL. wire_reader_end() also refuses
 * left-over bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct wire_reader {
	const uint8_t *p;
	const uint8_t *end;
	int error; /* 0, or -EBADMSG from the first fault on */
};

void wire_reader_init(struct wire_reader *r, const void *data, size_t size);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
/*
 * A string of at most max bytes without NUL inside, stored with its terminator. The result points
 * into the data; NULL on a fault.
 */
const char *wire_get_str(struct wire_reader *r, size_t max);
/* Returns 0 when everything was read without fault and nothing is left, else -EBADMSG. */
int wire_reader_end(const struct wire_reader *r);

struct wire_writer {
	uint8_t *data; /* owned; grows */
	size_t size;
	size_t capacity;
	size_t max; /* growing past it is -EMSGSIZE */
	int error;  /* 0, -ENOMEM or -EMSGSIZE, from the first fault on */
};

void wire_writer_init(struct wire_writer *w, size_t max);
void wire_writer_finish(struct wire_writer *w);
void wire_put_u32(struct wire_writer *w, uint32_t value);
void wire_put_u64(struct wire_writer *w, uint64_t value);
void wire_put_str(struct wire_writer *w, const char *s);
