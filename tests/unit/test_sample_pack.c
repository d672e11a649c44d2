/* server/sample_pack.h: what is packed comes out again, and what is no sample is refused. */
#include "server/sample_pack.h"

#include "base/cleanup.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

struct taken {
	uint64_t ids;
	uint64_t value[SAMPLE_ID_MAX + 1];
};

static void take(void *arg, int id, uint64_t value)
{
	struct taken *taken = arg;

	assert_in_range(id, 0, SAMPLE_ID_MAX);
	assert_false(taken->ids & UINT64_C(1) << id);
	taken->ids |= UINT64_C(1) << id;
	taken->value[id] = value;
}

static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_C(1) << 53,
	INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};

static struct sample_packed make(int step)
{
	struct sample_packed sample;

	sample_pack_begin(&sample);
	for (int id = 0; id <= SAMPLE_ID_MAX; id += step)
		sample_pack_add(&sample, id, values[(size_t)id % ARRAY_SIZE(values)]);
	return sample;
}

static void what_is_packed_comes_out_again(void **state)
{
	(void)state;
	for (int step = 1; step < 64; step++) {
		struct sample_packed sample = make(step);
		struct taken taken = {0};

		assert_int_equal(
			sample_unpack(sample.ids, sample.data, sample.size, take, &taken), 0);
		assert_true(taken.ids == sample.ids);
		for (int id = 0; id <= SAMPLE_ID_MAX; id += step)
			assert_true(taken.value[id] == values[(size_t)id % ARRAY_SIZE(values)]);
	}
}

/* As a row of an earlier croftd has it: this must be read for as long as there may be one. */
static void version_1_is_what_it_was(void **state)
{
	static const uint8_t bytes[] = {
		1, 5, 0x80, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
	struct taken taken = {0};

	(void)state;
	assert_int_equal(sample_unpack(0x40b, bytes, sizeof(bytes), take, &taken), -EBADMSG);
	taken = (struct taken){0};
	assert_int_equal(sample_unpack(0x406, bytes, sizeof(bytes), take, &taken), 0);
	assert_int_equal(taken.value[1], 5);
	assert_int_equal(taken.value[2], 128);
	assert_true(taken.value[10] == UINT64_MAX);
}

static void nothing_read_is_a_sample_too(void **state)
{
	struct sample_packed sample;
	struct taken taken = {0};

	(void)state;
	sample_pack_begin(&sample);
	assert_int_equal(sample_unpack(sample.ids, sample.data, sample.size, take, &taken), 0);
	assert_true(!taken.ids);
}

static void what_is_no_sample_is_refused(void **state)
{
	static const uint8_t too_large[] = {
		1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
	static const uint8_t too_long[] = {
		1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0};
	struct sample_packed sample = make(3);
	struct taken taken = {0};

	(void)state;
	for (size_t size = 0; size < sample.size; size++) {
		taken.ids = 0;
		assert_int_equal(
			sample_unpack(sample.ids, sample.data, size, take, &taken), -EBADMSG);
	}
	taken.ids = 0;
	assert_int_equal(sample_unpack(sample.ids & (sample.ids - 1), sample.data, sample.size,
				 take, &taken),
		-EBADMSG);
	taken.ids = 0;
	assert_int_equal(
		sample_unpack(UINT64_C(1) << 63, sample.data, sample.size, take, &taken), -EBADMSG);
	sample.data[0] = 2;
	assert_int_equal(
		sample_unpack(sample.ids, sample.data, sample.size, take, &taken), -EBADMSG);
	assert_int_equal(sample_unpack(0, NULL, 0, take, &taken), -EBADMSG);
	assert_int_equal(sample_unpack(1, too_large, sizeof(too_large), take, &taken), -EBADMSG);
	assert_int_equal(sample_unpack(1, too_long, sizeof(too_long), take, &taken), -EBADMSG);
}

static int take_blob(void *arg, int n, char **columns, char **names)
{
	(void)n;
	(void)names;
	snprintf(arg, 64, "%s", columns[0] ? columns[0] : "NULL");
	return 0;
}

static void rows_are_packed_in_sql(void **state)
{
	sqlite3 *handle;
	char text[64] = "";
	struct err err;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &handle), SQLITE_OK);
	assert_int_equal(sample_pack_register(handle, &err), 0);
	assert_int_equal(sqlite3_exec(handle,
				 "SELECT hex(pack_sample(id, value)) || sum(1 << id) FROM"
				 " (SELECT 10 AS id, -1 AS value UNION ALL SELECT 2, 128"
				 " UNION ALL SELECT 1, 5)",
				 take_blob, text, NULL),
		SQLITE_OK);
	assert_string_equal(text, "01058001FFFFFFFFFFFFFFFFFF011030");
	/* One that no set could hold is no reason to lose the others. */
	assert_int_not_equal(
		sqlite3_exec(handle, "SELECT pack_sample(63, 1)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_comes_out_again),
		cmocka_unit_test(version_1_is_what_it_was),
		cmocka_unit_test(nothing_read_is_a_sample_too),
		cmocka_unit_test(what_is_no_sample_is_refused),
		cmocka_unit_test(rows_are_packed_in_sql),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
