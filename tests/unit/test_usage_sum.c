/* server/usage_sum.h: what samples add up to, the cases where nothing may be added among them. */
#include "server/usage_sum.h"

#include "tests/unit/unit.h"

#include <string.h>

#define SECOND 1000000u
#define GAP    (30 * SECOND)

static struct usage_point at(uint64_t sequence, uint64_t second, uint64_t cpu, uint64_t memory_kib)
{
	return (struct usage_point){.sequence = sequence,
		.boot_usec = 1000 * SECOND + second * SECOND,
		.wall_usec = (int64_t)(second * SECOND),
		.counters = {.cpu_usec = cpu,
			.memory_bytes = memory_kib * 1024,
			.memory_working_set_bytes = memory_kib * 1024,
			.memory_peak_bytes = memory_kib * 1024,
			.pids = 3,
			.pids_peak = 5}};
}

static void counters_add_as_differences(void **state)
{
	struct usage_point from = at(1, 0, 100, 10);
	struct usage_point to = at(2, 10, 350, 10);
	struct usage_totals totals = {.cpu_usec = 1000};

	(void)state;
	to.counters.pids_denied = 4;
	to.counters.oom_kills = 1;
	assert_int_equal(usage_add(&totals, &from, &to, GAP), 0);
	assert_int_equal(totals.cpu_usec, 1250);
	assert_int_equal(totals.pids_denied, 4);
	assert_int_equal(totals.oom_kills, 1);
	assert_int_equal(totals.running_usec, 10 * SECOND);
	assert_int_equal(totals.pids_peak, 5);
}

static void a_gauge_counts_with_its_smaller_end(void **state)
{
	struct usage_point points[] = {
		at(0, 0, 0, 0), at(1, 10, 1, 100), at(2, 20, 2, 40), at(3, 30, 3, 80)};
	struct usage_totals totals = {0};

	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(points); i++)
		usage_add(&totals, &points[i - 1], &points[i], GAP);
	/* 10 s of 0, of 40 and of 40 KiB. */
	assert_true(totals.memory_kib_usec == (unsigned __int128)800 * SECOND);
	assert_int_equal(totals.memory_peak_bytes, 100 * 1024);
}

static void a_gap_bills_counters_but_no_gauge(void **state)
{
	struct usage_point from = at(1, 0, 100, 50);
	struct usage_point to = at(2, 31, 900, 50);
	struct usage_totals totals = {0};

	(void)state;
	assert_int_equal(usage_add(&totals, &from, &to, GAP), USAGE_GAP);
	assert_int_equal(totals.cpu_usec, 800);
	assert_true(totals.memory_kib_usec == 0);
	assert_int_equal(totals.running_usec, 31 * SECOND);
}

static void a_counter_that_fell_adds_nothing(void **state)
{
	struct usage_point from = at(1, 0, 100, 50);
	struct usage_point to = at(2, 10, 99, 50);
	struct usage_totals totals = {0};

	(void)state;
	to.counters.pids_denied = 7;
	assert_int_equal(usage_add(&totals, &from, &to, GAP), USAGE_COUNTER_FELL);
	assert_int_equal(totals.cpu_usec, 0);
	assert_int_equal(totals.pids_denied, 0);
	/* The gauge was watched all the same. */
	assert_true(totals.memory_kib_usec == (unsigned __int128)500 * SECOND);
}

static void an_unknown_peak_is_no_peak(void **state)
{
	struct usage_point from = at(1, 0, 0, 0);
	struct usage_point to = at(2, 1, 0, 0);
	struct usage_totals totals = {0};

	(void)state;
	to.counters.pids_peak = UINT64_MAX;
	usage_add(&totals, &from, &to, GAP);
	assert_int_equal(totals.pids_peak, 3);
}

static void every_counter_is_kept_under_its_own_id(void **state)
{
	struct counters counters = {0};

	(void)state;
	for (size_t i = 0; i < USAGE_COUNTERS; i++) {
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(usage_counters[i].id, usage_counters[j].id);
			assert_int_not_equal(usage_counters[i].offset, usage_counters[j].offset);
		}
		assert_true(usage_counter_set(&counters, usage_counters[i].id, 100 + i));
		assert_int_equal(usage_counter_get(&counters, &usage_counters[i]), 100 + i);
	}
	/*
	 * And has_net and has_io, which say whether some of them are known; an estimate; and
	 * refused calls, which are on no bill.
	 */
	assert_int_equal((USAGE_COUNTERS + 5) * sizeof(uint64_t), sizeof(struct counters));
	assert_false(usage_counter_set(&counters, 999, 1));
}

static struct usage_point with_modes(uint64_t sequence, uint64_t cpu, uint64_t user)
{
	struct usage_point point = {.sequence = sequence, .boot_usec = sequence * 1000000};

	point.counters.cpu_usec = cpu;
	point.counters.cpu_user_usec = user;
	return point;
}

/* Takes points one after another as the ledger does. Both parts must never fall, nor their sum. */
static void add_modes_of(struct usage_point *points, size_t n, struct usage_totals *totals)
{
	for (size_t i = 1; i < n; i++) {
		struct usage_point read = points[i];

		usage_carry(&points[i], &points[i - 1]);
		assert_true(points[i].counters.cpu_user_usec <= read.counters.cpu_user_usec);
		usage_add(totals, &points[i - 1], &read, GAP);
	}
}

/* Ticks of 10 ms, of a run that needs 5 ms at a time, all of it in user mode. */
static void ticks_that_come_early_count_later(void **state)
{
	struct usage_point points[101];
	struct usage_totals totals = {0};

	(void)state;
	for (uint64_t i = 0; i <= 100; i++)
		points[i] = with_modes(i, i * 5000, (i * 5000 + 9999) / 10000 * 10000);
	add_modes_of(points, 101, &totals);
	assert_int_equal(totals.cpu_usec, 500000);
	assert_int_equal(totals.cpu_user_usec, 500000);
	assert_int_equal(totals.cpu_system_usec, 0);
}

static void parts_add_up_to_what_is_billed(void **state)
{
	struct usage_point points[] = {with_modes(0, 0, 0), with_modes(1, 15000, 10000),
		with_modes(2, 16000, 20000), with_modes(3, 40000, 20000)};
	struct usage_totals totals = {0};

	(void)state;
	add_modes_of(points, 4, &totals);
	assert_int_equal(totals.cpu_usec, 40000);
	assert_int_equal(totals.cpu_user_usec, 20000);
	assert_int_equal(totals.cpu_system_usec, 20000);
}

/* croftd began anew: what is on record of the run does not say in which mode it was. */
static void a_run_that_is_found_again_keeps_its_proportion(void **state)
{
	struct usage_point points[] = {
		with_modes(5, 100000, COUNTER_UNKNOWN), with_modes(6, 200000, 150000)};
	struct usage_totals totals = {0};

	(void)state;
	add_modes_of(points, 2, &totals);
	assert_int_equal(totals.cpu_user_usec, 75000);
	assert_int_equal(totals.cpu_system_usec, 25000);
}

static void an_unknown_mode_is_in_neither(void **state)
{
	struct usage_point points[] = {with_modes(0, 0, 0), with_modes(1, 100000, COUNTER_UNKNOWN),
		with_modes(2, 200000, 200000)};
	struct usage_totals totals = {0};

	(void)state;
	add_modes_of(points, 3, &totals);
	assert_int_equal(totals.cpu_usec, 200000);
	assert_int_equal(totals.cpu_user_usec, 100000);
	assert_int_equal(totals.cpu_system_usec, 0);
}

static struct usage_point with_traffic(uint64_t sequence, uint64_t second, uint64_t bytes)
{
	struct usage_point point = at(sequence, second, 10 * sequence, 0);

	point.counters.has_net = 1;
	point.counters.net = (struct net_usage){.all_in = {bytes, bytes / 10},
		.all_out = {2 * bytes, bytes / 5},
		.outside_in = {bytes / 2, bytes / 20},
		.outside_out = {bytes, bytes / 10}};
	return point;
}

static void traffic_begins_at_its_base(void **state)
{
	struct usage_point base = with_traffic(0, 0, 5000);
	struct usage_point end = with_traffic(1, 10, 5700);
	struct usage_totals totals = {0};

	(void)state;
	assert_int_equal(usage_add(&totals, &base, &end, UINT64_MAX), 0);
	assert_int_equal(totals.net.all_in.bytes, 700);
	assert_int_equal(totals.net.all_in.packets, 70);
	assert_int_equal(totals.net.all_out.bytes, 1400);
	assert_int_equal(totals.net.outside_in.bytes, 350);
	assert_int_equal(totals.net.outside_out.packets, 70);
	usage_totals_merge(&totals, &totals);
	assert_int_equal(totals.net.all_in.bytes, 1400);
	usage_totals_subtract(&totals, &totals);
	assert_int_equal(totals.net.all_in.bytes, 0);
}

static struct usage_point with_io(uint64_t sequence, uint64_t second, uint64_t bytes)
{
	struct usage_point point = at(sequence, second, 10 * sequence, 0);

	point.counters.has_io = 1;
	point.counters.io = (struct io_usage){bytes, bytes / 10, 2 * bytes, bytes / 5};
	return point;
}

static void io_begins_with_the_run(void **state)
{
	struct usage_point start = at(0, 0, 0, 0);
	struct usage_point end = with_io(1, 10, 700);
	struct usage_totals totals = {0};

	(void)state;
	assert_int_equal(usage_add(&totals, &start, &end, UINT64_MAX), 0);
	assert_int_equal(totals.io.read_bytes, 700);
	assert_int_equal(totals.io.read_ops, 70);
	assert_int_equal(totals.io.write_bytes, 1400);
	assert_int_equal(totals.io.write_ops, 140);
	usage_totals_merge(&totals, &totals);
	assert_int_equal(totals.io.write_ops, 280);
	usage_totals_subtract(&totals, &totals);
	assert_int_equal(totals.io.read_bytes, 0);
}

/* What was not read is in the next sample; a disk that went takes no CPU time with it. */
static void io_goes_alone(void **state)
{
	struct usage_point first = with_io(1, 10, 700);
	struct usage_point blind = at(2, 20, 20, 0);
	struct usage_point later = with_io(3, 30, 900);
	struct usage_point fell = with_io(4, 40, 100);
	struct usage_totals totals = {0};

	(void)state;
	usage_carry(&blind, &first);
	assert_int_equal(usage_add(&totals, &first, &blind, UINT64_MAX), 0);
	assert_int_equal(totals.io.read_bytes, 0);
	assert_int_equal(usage_add(&totals, &blind, &later, UINT64_MAX), 0);
	assert_int_equal(totals.io.read_bytes, 200);
	assert_int_equal(usage_add(&totals, &later, &fell, UINT64_MAX), USAGE_COUNTER_FELL);
	assert_int_equal(totals.io.read_bytes, 200);
	assert_int_equal(totals.cpu_usec, 30);
}

static void without_a_base_no_traffic_is_billed(void **state)
{
	struct usage_point start = at(0, 0, 0, 0);
	struct usage_point end = with_traffic(1, 10, 5700);
	struct usage_totals totals = {0};

	(void)state;
	assert_int_equal(usage_add(&totals, &start, &end, UINT64_MAX), 0);
	assert_int_equal(totals.net.all_in.bytes, 0);
	assert_int_equal(totals.cpu_usec, 10);
}

/* Somebody flushed the host's tables: the time on the CPU is billed all the same, and so back. */
static void traffic_and_cgroup_fall_apart(void **state)
{
	struct usage_point from = with_traffic(1, 0, 5000);
	struct usage_point to = with_traffic(2, 10, 100);
	struct usage_totals totals = {0};

	(void)state;
	assert_int_equal(usage_add(&totals, &from, &to, UINT64_MAX), USAGE_COUNTER_FELL);
	assert_int_equal(totals.net.all_in.bytes, 0);
	assert_int_equal(totals.cpu_usec, 10);
	to = with_traffic(2, 10, 6000);
	to.counters.cpu_usec = 0;
	assert_int_equal(usage_add(&totals, &from, &to, UINT64_MAX), USAGE_COUNTER_FELL);
	assert_int_equal(totals.net.all_in.bytes, 1000);
	assert_int_equal(totals.cpu_usec, 10);
}

/* A sweep that the supervisor did not answer: the next one spans both intervals. */
static void traffic_that_was_not_read_is_not_lost(void **state)
{
	struct usage_point points[] = {
		with_traffic(1, 10, 1000), at(2, 20, 30, 0), with_traffic(3, 30, 9000)};
	struct usage_point last = with_traffic(0, 0, 400);
	struct usage_totals totals = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		usage_carry(&points[i], &last);
		usage_add(&totals, &last, &points[i], UINT64_MAX);
		last = points[i];
		assert_int_equal(totals.net.all_in.bytes, i < 2 ? 600 : 8600);
	}
	assert_int_equal(last.counters.net.all_in.bytes, 9000);
}

static void large_numbers_are_written_in_full(void **state)
{
	char text[USAGE_DECIMAL_MAX];

	(void)state;
	assert_string_equal(usage_format(0, text), "0");
	assert_string_equal(usage_format(UINT64_MAX, text), "18446744073709551615");
	assert_string_equal(
		usage_format(
			((unsigned __int128)1 << 127) - 1 + ((unsigned __int128)1 << 127), text),
		"340282366920938463463374607431768211455");
}

static void what_was_merged_can_be_taken_back(void **state)
{
	struct usage_point from = at(1, 0, 100, 10);
	struct usage_point to = at(2, 10, 350, 20);
	struct usage_totals part = {.runs = 1};
	struct usage_totals totals = {.cpu_usec = 7, .memory_kib_usec = 3, .memory_peak_bytes = 5};
	struct usage_totals before;

	(void)state;
	to.counters.pids_denied = 4;
	to.counters.oom_kills = 3;
	to.counters.memory_at_limit = 2;
	to.counters.cpu_throttled_usec = 1;
	usage_add(&part, &from, &to, GAP);
	before = totals;
	usage_totals_merge(&totals, &part);
	assert_int_equal(totals.cpu_usec, 257);
	usage_totals_subtract(&totals, &part);
	/* A peak was met all the same. */
	before.memory_peak_bytes = part.memory_peak_bytes;
	before.pids_peak = part.pids_peak;
	assert_memory_equal(&totals, &before, sizeof(before));
}

static void a_tebibyte_for_a_century_does_not_overflow(void **state)
{
	struct usage_totals totals = {0};
	struct usage_point from = at(1, 0, 0, UINT64_C(1) << 30);
	struct usage_point to = at(2, UINT64_C(3155760000), 0, UINT64_C(1) << 30);
	char text[USAGE_DECIMAL_MAX];

	(void)state;
	usage_add(&totals, &from, &to, UINT64_MAX);
	assert_string_equal(
		usage_format(totals.memory_kib_usec / 1000000, text), "3388471498506240000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_add_as_differences),
		cmocka_unit_test(a_gauge_counts_with_its_smaller_end),
		cmocka_unit_test(a_gap_bills_counters_but_no_gauge),
		cmocka_unit_test(a_counter_that_fell_adds_nothing),
		cmocka_unit_test(an_unknown_peak_is_no_peak),
		cmocka_unit_test(every_counter_is_kept_under_its_own_id),
		cmocka_unit_test(ticks_that_come_early_count_later),
		cmocka_unit_test(parts_add_up_to_what_is_billed),
		cmocka_unit_test(a_run_that_is_found_again_keeps_its_proportion),
		cmocka_unit_test(an_unknown_mode_is_in_neither),
		cmocka_unit_test(traffic_begins_at_its_base),
		cmocka_unit_test(io_begins_with_the_run),
		cmocka_unit_test(io_goes_alone),
		cmocka_unit_test(without_a_base_no_traffic_is_billed),
		cmocka_unit_test(traffic_and_cgroup_fall_apart),
		cmocka_unit_test(traffic_that_was_not_read_is_not_lost),
		cmocka_unit_test(large_numbers_are_written_in_full),
		cmocka_unit_test(what_was_merged_can_be_taken_back),
		cmocka_unit_test(a_tebibyte_for_a_century_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
