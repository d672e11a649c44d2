/* Packing samples; see sample_pack.h. Must read what it once wrote, for as long as rows are kept.
 */
#include "server/sample_pack.h"

#include <errno.h>
#include <string.h>

#define VERSION 1

void sample_pack_begin(struct sample_packed *sample)
{
	sample->ids = 0;
	sample->size = 1;
	sample->data[0] = VERSION;
}

void sample_pack_add(struct sample_packed *sample, int id, uint64_t value)
{
	sample->ids |= UINT64_C(1) << id;
	for (; value > 127; value >>= 7)
		sample->data[sample->size++] = (uint8_t)((value & 127) | 128);
	sample->data[sample->size++] = (uint8_t)value;
}

/* Returns how many bytes it had, 0 when it is none. */
static size_t read_value(const uint8_t *data, size_t size, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size && i < SAMPLE_VALUE_MAX; i++) {
		/* Of the tenth byte one bit is left. */
		if (i == SAMPLE_VALUE_MAX - 1 && data[i] > 1)
			return 0;
		value |= (uint64_t)(data[i] & 127) << (7 * i);
		if (data[i] < 128) {
			*ret = value;
			return i + 1;
		}
	}
	return 0;
}

int sample_unpack(uint64_t ids, const uint8_t *data, size_t size, sample_value_fn fn, void *arg)
{
	size_t at = 1;

	if (!size || data[0] != VERSION || ids >> (SAMPLE_ID_MAX + 1))
		return -EBADMSG;
	for (; ids; ids &= ids - 1) {
		uint64_t value = 0;
		size_t n = read_value(data + at, size - at, &value);

		if (!n)
			return -EBADMSG;
		at += n;
		fn(arg, __builtin_ctzll(ids), value);
	}
	return at == size ? 0 : -EBADMSG;
}

/* --- in SQL --- */

struct collected {
	uint64_t ids;
	uint64_t values[SAMPLE_ID_MAX + 1];
};

static void collect(sqlite3_context *context, int n, sqlite3_value **values)
{
	struct collected *c = sqlite3_aggregate_context(context, sizeof(*c));
	int64_t id = sqlite3_value_int64(values[0]);

	(void)n;
	if (!c) {
		sqlite3_result_error_nomem(context);
		return;
	}
	if (id < 0 || id > SAMPLE_ID_MAX) {
		sqlite3_result_error(context, "a sample has an id that is too large", -1);
		return;
	}
	c->ids |= UINT64_C(1) << id;
	c->values[id] = (uint64_t)sqlite3_value_int64(values[1]);
}

static void finish(sqlite3_context *context)
{
	const struct collected *c = sqlite3_aggregate_context(context, 0);
	struct sample_packed sample;

	sample_pack_begin(&sample);
	for (int id = 0; c && id <= SAMPLE_ID_MAX; id++)
		if (c->ids & UINT64_C(1) << id)
			sample_pack_add(&sample, id, c->values[id]);
	sqlite3_result_blob(context, sample.data, (int)sample.size, SQLITE_TRANSIENT);
}

int sample_pack_register(sqlite3 *handle, struct err *err)
{
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;

	if (sqlite3_create_function_v2(handle, "pack_sample", 2, flags, NULL, NULL, collect, finish,
		    NULL) == SQLITE_OK)
		return 0;
	return err_set(err, ERR_INTERNAL, "STATE_FAILED", "prepare the state database: %s",
		sqlite3_errmsg(handle));
}
