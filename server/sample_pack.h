/*
 * A sample as one row: a set of the ids of what was read (1 << id, in a column of its own, by which
 * rows are found), and their values, packed. Ids are those of usage_counters[] and of what is held;
 * a reader that does not know one passes it over.
 *
 * Version 1: a byte 1; then of each id of the set, from the lowest on, its value as seven bits a
 * byte, the lowest first, with the top bit set in all bytes but the last.
 */
#pragma once

#include "base/err.h"

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_ID_MAX	  62 /* sets are signed 64 bits in SQLite */
#define SAMPLE_VALUE_MAX  10 /* bytes of a value */
#define SAMPLE_PACKED_MAX (1 + (SAMPLE_ID_MAX + 1) * SAMPLE_VALUE_MAX)

struct sample_packed {
	uint64_t ids;
	size_t size;
	uint8_t data[SAMPLE_PACKED_MAX];
};

void sample_pack_begin(struct sample_packed *sample);
/* Adds a value. Ids come in ascending order. */
void sample_pack_add(struct sample_packed *sample, int id, uint64_t value);

/* Takes one value of a sample. */
typedef void (*sample_value_fn)(void *arg, int id, uint64_t value);
/* Calls fn for each value. Returns 0, or -EBADMSG when that is not what was packed. */
int sample_unpack(uint64_t ids, const uint8_t *data, size_t size, sample_value_fn fn, void *arg);

/*
 * Gives the connection the aggregate pack_sample(id, value), which packs what it is given in
 * whatever order: for the step that packs rows of before.
 */
int sample_pack_register(sqlite3 *handle, struct err *err);
