/* When a disk counts as full, and when no longer. */
#include "sandbox/pool_fill.h"

#include "tests/unit/unit.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static enum disk_state bytes(uint64_t used, uint64_t limit)
{
	return pool_fill_state(
		&(struct disk_limits){used, 0}, &(struct disk_limits){limit, LIMIT_UNSET});
}

static enum disk_state inodes(uint64_t used, uint64_t limit)
{
	return pool_fill_state(
		&(struct disk_limits){0, used}, &(struct disk_limits){LIMIT_UNSET, limit});
}

static void nobody_fills_what_is_not_limited(void **state)
{
	(void)state;
	assert_int_equal(bytes(UINT64_MAX, LIMIT_UNSET), DISK_ROOM);
	assert_int_equal(bytes(0, 16 * MIB), DISK_ROOM);
}

static void a_small_disk_is_full_before_its_end(void **state)
{
	(void)state;
	assert_int_equal(bytes(12 * MIB, 16 * MIB), DISK_ROOM);
	assert_int_equal(bytes(12 * MIB + 1, 16 * MIB), DISK_LITTLE);
	assert_int_equal(bytes(14 * MIB, 16 * MIB), DISK_LITTLE);
	assert_int_equal(bytes(14 * MIB + 1, 16 * MIB), DISK_FULL);
	assert_int_equal(bytes(16 * MIB, 16 * MIB), DISK_FULL);
	/* Lowered by force. */
	assert_int_equal(bytes(20 * MIB, 16 * MIB), DISK_FULL);
}

static void of_a_large_one_a_part_counts_and_not_too_much(void **state)
{
	(void)state;
	assert_int_equal(bytes(GIB - 16 * MIB, GIB), DISK_LITTLE);
	assert_int_equal(bytes(GIB - 16 * MIB + 1, GIB), DISK_FULL);
	assert_int_equal(bytes(1024 * GIB - 128 * MIB, 1024 * GIB), DISK_ROOM);
	assert_int_equal(bytes(1024 * GIB - 64 * MIB, 1024 * GIB), DISK_LITTLE);
	assert_int_equal(bytes(1024 * GIB - 64 * MIB + 1, 1024 * GIB), DISK_FULL);
	assert_int_equal(bytes(UINT64_MAX - 1, UINT64_MAX - 1), DISK_FULL);
}

static void inodes_run_out_as_well(void **state)
{
	(void)state;
	assert_int_equal(inodes(56, 64), DISK_ROOM);
	assert_int_equal(inodes(60, 64), DISK_LITTLE);
	assert_int_equal(inodes(61, 64), DISK_INODES_FULL);
	assert_int_equal(inodes(1000000 - 1023, 1000000), DISK_INODES_FULL);
	assert_int_equal(inodes(1000000 - 2048, 1000000), DISK_ROOM);
}

static void bytes_are_told_of_first(void **state)
{
	const struct disk_limits limit = {16 * MIB, 64};

	(void)state;
	assert_int_equal(pool_fill_state(&limit, &limit), DISK_FULL);
	assert_int_equal(
		pool_fill_state(&(struct disk_limits){13 * MIB, 64}, &limit), DISK_INODES_FULL);
	assert_int_equal(pool_fill_state(&(struct disk_limits){0, 58}, &limit), DISK_LITTLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_fills_what_is_not_limited),
		cmocka_unit_test(a_small_disk_is_full_before_its_end),
		cmocka_unit_test(of_a_large_one_a_part_counts_and_not_too_much),
		cmocka_unit_test(inodes_run_out_as_well),
		cmocka_unit_test(bytes_are_told_of_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
