/* base/burst.h: percentiles against sorting, and what is written of five minutes. */
#include "base/burst.h"

#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SLOT	    BURST_SLOT_USEC
#define MONTH	    (720 * BURST_SLOTS * SLOT)
#define SLOTS_MAX   (720 * BURST_SLOTS)
#define A_SECOND(b) ((b)*8 / 300) /* bits, of the bytes of five minutes */

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * UINT64_C(2685821657736338717) >> 11) % below;
}

static void put(struct burst_sum *sum, size_t slot, enum burst_way way, uint64_t bytes)
{
	struct burst_hour hour = {0};

	hour.bytes[way][slot % BURST_SLOTS] = bytes;
	assert_int_equal(burst_add(sum, (int64_t)(490000 + slot / BURST_SLOTS), &hour), 0);
}

static int descending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void one_in_twenty_is_dropped(void **state)
{
	struct burst_sum sum = {.n = 0};
	size_t dropped = SLOTS_MAX / 20;

	(void)state;
	assert_int_equal(burst_p95(&sum, 0, MONTH), 0);
	/* So many may be of any height. */
	for (size_t i = 0; i < dropped; i++)
		put(&sum, 2 * i, BURST_OUT, UINT64_MAX / 2 - i);
	assert_int_equal(burst_p95(&sum, 0, MONTH), 0);
	put(&sum, 4321, BURST_OUT, 750000);
	assert_int_equal(burst_p95(&sum, 0, MONTH), 20000);
	/* The other way is ranked by itself. */
	put(&sum, 1, BURST_IN, 999999999);
	assert_int_equal(burst_p95(&sum, 0, MONTH), 20000);
	for (size_t i = 0; i <= dropped; i++)
		put(&sum, 3 + 2 * i, BURST_IN, 7500000);
	assert_int_equal(burst_p95(&sum, 0, MONTH), 200000);
	/* Of less than twenty none is dropped. */
	assert_int_equal(burst_p95(&sum, 0, 19 * SLOT),
		(uint64_t)((unsigned __int128)(UINT64_MAX / 2) * 8 / 300));
	burst_finish(&sum);
}

/* What several containers had at once adds up, in whatever order it comes. */
static void it_is_the_rank_of_sums(void **state)
{
	static uint64_t bytes[BURST_WAYS][SLOTS_MAX];
	uint64_t random = UINT64_C(88172645463325252);

	(void)state;
	for (int round = 0; round < 20; round++) {
		size_t slots = 1 + draw(&random, SLOTS_MAX);
		size_t n = draw(&random, 3 * slots);
		struct burst_sum sum = {.n = 0};
		uint64_t want = 0;

		memset(bytes, 0, sizeof(bytes));
		for (size_t i = 0; i < n; i++) {
			size_t slot = draw(&random, slots);
			size_t way = draw(&random, BURST_WAYS);
			uint64_t more = draw(&random, draw(&random, 2) ? 30 : UINT64_C(1) << 40);

			put(&sum, slot, (enum burst_way)way, more);
			bytes[way][slot] += more;
		}
		for (size_t way = 0; way < BURST_WAYS; way++) {
			qsort(bytes[way], slots, sizeof(uint64_t), descending);
			if (bytes[way][slots / 20] > want)
				want = bytes[way][slots / 20];
		}
		assert_int_equal(burst_p95(&sum, 7, 7 + (int64_t)slots * SLOT), A_SECOND(want));
		burst_finish(&sum);
	}
}

static void it_is_read_as_written(void **state)
{
	static const char *const bad[] = {"", "0/0",
		"1/2 3/4 5/6 7/8 9/10 11/12 1/2 3/4 5/6 7/8 9/10",
		"1/2 3/4 5/6 7/8 9/10 11/12 1/2 3/4 5/6 7/8 9/10 11/12 ",
		"1/2 3/4 5/6 7/8 9/10 11/12 1/2 3/4 5/6 7/8 9/10 11/12 1/2",
		"1/2 3/4 5/6 7/8 9/10 11/12 1/2 3/4 5/6 7/8 9/10 11/-12",
		"1/2 3/4 5/6 7/8 9/10 11/12 1/2  3/4 5/6 7/8 9/10 11/12",
		"1/2 3/4 5/6 7/8 9/10 11/12 1/2 3/4 5/6 7/8 9/10 11/18446744073709551616"};
	struct burst_hour hour;
	struct burst_hour back;
	char text[BURST_TEXT_MAX];

	(void)state;
	memset(&hour, 0xff, sizeof(hour));
	assert_int_equal(strlen(burst_format(&hour, text)), BURST_TEXT_MAX - 2);
	assert_int_equal(burst_parse(text, &back), 0);
	assert_memory_equal(&hour, &back, sizeof(back));
	for (size_t slot = 0; slot < BURST_SLOTS; slot++) {
		hour.bytes[BURST_IN][slot] = slot * slot;
		hour.bytes[BURST_OUT][slot] = slot * 1000;
	}
	assert_string_equal(burst_format(&hour, text),
		"0/0 1/1000 4/2000 9/3000 16/4000 25/5000 36/6000 49/7000 64/8000 81/9000 "
		"100/10000 121/11000");
	assert_int_equal(burst_highest(&hour), A_SECOND(11000));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (burst_parse(bad[i], &back) == 0)
			fail_msg("taken: \"%s\"", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_in_twenty_is_dropped),
		cmocka_unit_test(it_is_the_rank_of_sums),
		cmocka_unit_test(it_is_read_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
