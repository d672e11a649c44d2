/* server/ledger_cut.h: hours cut out of samples, by examples; see test_ledger_sums.c for the rest.
 */
#include "base/meters.h"
#include "tests/unit/ledger_cutting.h"

#include "tests/unit/unit.h"

#include <string.h>

/* Records are kept by the number of their meter: these never change. */
static const char *const names[] = {"cpu.used", "cpu.throttled", "memory.used", "memory.peak",
	"memory.at_limit", "memory.oom", "pids.peak", "pids.denied", "running", "net.ingress",
	"net.ingress.packets", "net.egress", "net.egress.packets", "net.ingress.outside",
	"net.ingress.outside.packets", "net.egress.outside", "net.egress.outside.packets",
	"io.read", "io.read.ops", "io.write", "io.write.ops", "cpu.allocated", "memory.allocated",
	"disk.used", "disk.allocated", "volume.allocated", "snapshot.used", "ipv4.address",
	"tenant.cpu.allocated", "tenant.memory.allocated", "tenant.disk.allocated", "net.p95",
	"disk.denied", "tenant.cpu.used", "tenant.cpu.throttled", "tenant.memory.used",
	"tenant.memory.peak", "tenant.memory.at_limit", "tenant.pids.peak", "tenant.pids.denied"};

static void meters_are_those_of_before(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(names), LEDGER_METERS);
	for (size_t m = 0; m < ARRAY_SIZE(names); m++)
		assert_string_equal(ledger_meters[m].name, names[m]);
	/* And as the command line knows them: base/meters.c. */
	assert_int_equal(meter_names_n, LEDGER_METERS);
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		assert_string_equal(meter_names[m].name, ledger_meters[m].name);
		assert_int_equal(meter_names[m].has_price, !ledger_meter_is_max(m));
	}
	assert_string_equal(names[LEDGER_CPU_USED], "cpu.used");
	assert_string_equal(names[LEDGER_TENANT_CPU_USED], "tenant.cpu.used");
	for (size_t i = 0; i < USAGE_COUNTERS; i++)
		assert_int_equal(usage_counters[i].id, i + 1);
	for (size_t m = 0; m < LEDGER_METERS; m++)
		assert_true(ledger_meters[m].divisor > 0);
	/* As a set in 64 bits. */
	assert_true(LEDGER_METERS <= 64);
}

static void an_hour_is_cut_where_the_clock_showed_it(void **state)
{
	/* From 10 s before the hour to 30 s behind it, 400 us of CPU in between: a quarter before.
	 */
	struct usage_point points[] = {cutting_at(0, 3500, 0, 0), cutting_at(1, 3590, 1000, 64),
		cutting_at(2, 3630, 1400, 64), cutting_at(3, 3640, 1401, 64)};
	struct cutting *c = cutting_make();
	uint64_t edge = points[1].boot_usec + 10 * (uint64_t)SECOND;

	(void)state;
	c->cut.gap_usec = UINT64_MAX;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 2);
	assert_int_equal(c->pieces[0].to_boot_usec, edge);
	assert_int_equal(c->pieces[1].from_boot_usec, edge);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 1100);
	assert_int_equal(cutting_amount(&c->pieces[1], "cpu.used"), 301);
	assert_int_equal(c->pieces[0].counter_end[0], 1100);
	assert_int_equal(c->pieces[1].counter_start[0], 1100);
	assert_int_equal(c->pieces[1].counter_end[0], 1401);
	assert_int_equal(cutting_amount(&c->pieces[0], "running"), 100 * SECOND);
	assert_int_equal(cutting_amount(&c->pieces[0], "memory.used"), 64 * 10 * SECOND);
	assert_int_equal(cutting_amount(&c->pieces[1], "memory.used"), 64 * 40 * SECOND);
	/* It began within its first hour, and is not over within its second. */
	assert_int_equal(c->pieces[0].window_start_usec, EPOCH + 3500 * SECOND);
	assert_int_equal(c->pieces[0].window_end_usec, EPOCH + HOUR);
	assert_int_equal(c->pieces[1].window_start_usec, EPOCH + HOUR);
	assert_int_equal(c->pieces[1].window_end_usec, points[3].wall_usec);
	assert_int_equal(c->pieces[0].samples, 1);
	assert_int_equal(c->pieces[1].samples, 2);
	free(c);
}

static void a_sample_on_the_edge_is_before_it(void **state)
{
	struct usage_point points[] = {cutting_at(0, 3590, 0, 0), cutting_at(1, 3600, 100, 0),
		cutting_at(2, 3610, 150, 0)};
	struct cutting *c = cutting_make();

	(void)state;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 2);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 100);
	assert_int_equal(c->pieces[0].samples, 1);
	assert_int_equal(cutting_amount(&c->pieces[1], "cpu.used"), 50);
	free(c);
}

static void a_run_of_no_time_at_all_has_a_piece(void **state)
{
	struct usage_point points[] = {cutting_at(0, 100, 0, 0), cutting_at(1, 100, 4321, 80)};
	struct cutting *c = cutting_make();

	(void)state;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 1);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 4321);
	assert_int_equal(cutting_amount(&c->pieces[0], "memory.peak"), 80 * 1024);
	free(c);
}

/* The final read has the time of init's end; a sweep may have been a moment later. */
static void time_never_goes_back(void **state)
{
	struct usage_point points[] = {
		cutting_at(0, 0, 0, 0), cutting_at(1, 10, 100, 8), cutting_at(2, 9, 130, 0)};
	struct cutting *c = cutting_make();

	(void)state;
	points[2].wall_usec = points[1].wall_usec - 300000;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 1);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 130);
	assert_int_equal(cutting_amount(&c->pieces[0], "running"), 10 * SECOND);
	free(c);
}

static void downtime_is_spread_and_marked(void **state)
{
	struct usage_point points[] = {cutting_at(0, 0, 0, 0), cutting_at(1, 10, 10, 100),
		cutting_at(2, 10 + 3 * 3600, 10 + 3 * 3600, 100)};
	struct cutting *c = cutting_make();

	(void)state;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(c->pieces[i].flags & LEDGER_GAP);
		assert_int_equal(cutting_amount(&c->pieces[i], "memory.used"), 0);
	}
	assert_int_equal(cutting_amount(&c->pieces[1], "cpu.used"), 3600);
	assert_int_equal(cutting_amount(&c->pieces[1], "running"), HOUR);
	assert_int_equal(cutting_amount(&c->pieces[3], "cpu.used"), 10);
	free(c);
}

static void a_counter_that_fell_adds_nothing_and_says_so(void **state)
{
	struct usage_point points[] = {cutting_at(0, 0, 0, 0), cutting_at(1, 10, 500, 16),
		cutting_at(2, 20, 30, 16), cutting_at(3, 30, 45, 16)};
	struct cutting *c = cutting_make();

	(void)state;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 1);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 515);
	assert_int_equal(c->pieces[0].flags, LEDGER_FELL);
	assert_int_equal(cutting_amount(&c->pieces[0], "memory.used"), 16 * 20 * SECOND);
	free(c);
}

static void a_clock_set_back_makes_another_piece_of_that_hour(void **state)
{
	struct usage_point points[] = {cutting_at(0, 100, 0, 0), cutting_at(1, 110, 10, 0),
		cutting_at(2, 120, 30, 0), cutting_at(3, 130, 60, 0), cutting_at(4, 140, 100, 0)};
	struct cutting *c = cutting_make();

	(void)state;
	/* A day back, and forth again. */
	points[2].wall_usec -= 24 * HOUR;
	points[3].wall_usec -= 24 * HOUR;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 3);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 10);
	assert_int_equal(cutting_amount(&c->pieces[1], "cpu.used"), 50);
	assert_int_equal(cutting_amount(&c->pieces[2], "cpu.used"), 40);
	assert_int_equal(c->pieces[1].window_start_usec, EPOCH - 24 * HOUR);
	/* The same window as the first: whoever writes it down makes it a correction. */
	assert_int_equal(c->pieces[2].window_start_usec, c->pieces[0].window_start_usec);
	assert_int_equal(c->pieces[0].flags, 0);
	assert_int_equal(c->pieces[1].flags, LEDGER_STEPPED);
	assert_int_equal(c->pieces[2].flags, LEDGER_STEPPED);
	free(c);
}

/* NTP slews, and a long interval adds up. */
static void slewing_is_no_step(void **state)
{
	struct usage_point points[] = {cutting_at(0, 0, 0, 0), cutting_at(1, 10000, 10000, 0)};
	struct cutting *c = cutting_make();

	(void)state;
	points[1].wall_usec += 5 * SECOND;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 3);
	assert_false(c->pieces[0].flags & LEDGER_STEPPED);
	assert_int_equal(cutting_amount(&c->pieces[0], "running") +
				 cutting_amount(&c->pieces[1], "running") +
				 cutting_amount(&c->pieces[2], "running"),
		10000 * SECOND);
	free(c);
}

static void new_terms_split_the_hour(void **state)
{
	struct usage_point points[] = {
		cutting_at(0, 0, 0, 0), cutting_at(1, 10, 100, 0), cutting_at(2, 20, 200, 0)};
	struct ledger_terms terms[2] = {{.key = 7}, {.key = 9}};
	struct ledger_position start = ledger_cut_start(&points[0]);
	struct cutting *c = cutting_make();

	(void)state;
	limits_init(&terms[0].limits);
	limits_init(&terms[1].limits);
	terms[0].limits.value[LIMIT_CPU] = 500;
	terms[1].limits.value[LIMIT_CPU] = 2000;
	terms[1].limits.value[LIMIT_MEMORY] = 1 << 20;
	terms[1].boot_usec = points[1].boot_usec + 5 * (uint64_t)SECOND;
	terms[1].wall_usec = points[1].wall_usec + 5 * SECOND;
	c->terms = terms;
	c->n_terms = 2;
	cutting_go_on(c, &start, points, 3, 0, &terms[0]);
	assert_int_equal(c->n, 2);
	assert_int_equal(c->pieces[0].terms, 7);
	assert_int_equal(c->pieces[1].terms, 9);
	assert_int_equal(c->pieces[0].window_end_usec, terms[1].wall_usec);
	assert_int_equal(c->pieces[1].window_start_usec, terms[1].wall_usec);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 150);
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.allocated"), 500 * 15 * SECOND);
	assert_int_equal(cutting_amount(&c->pieces[1], "cpu.allocated"), 2000 * 5 * SECOND);
	assert_false(c->pieces[0].present & ledger_bit(cutting_meter("memory.allocated")));
	assert_int_equal(cutting_amount(&c->pieces[1], "memory.allocated"), 1024 * 5 * SECOND);
	free(c);
}

static void a_peak_belongs_to_the_hour_in_which_it_rose(void **state)
{
	struct usage_point points[] = {cutting_at(0, 3580, 0, 0), cutting_at(1, 3590, 1, 900),
		cutting_at(2, 3610, 2, 10), cutting_at(3, 3620, 3, 20)};
	struct cutting *c = cutting_make();

	(void)state;
	points[2].counters.memory_peak_bytes = 900 * 1024;
	points[3].counters.memory_peak_bytes = 900 * 1024;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 2);
	assert_int_equal(cutting_amount(&c->pieces[0], "memory.peak"), 900 * 1024);
	assert_int_equal(cutting_amount(&c->pieces[1], "memory.peak"), 20 * 1024);
	free(c);
}

/* Nothing runs: what is measured counts with its smaller end, and in a gap with nothing; what
   croftd itself gave is held all the same. */
static void what_is_held_counts_while_nothing_runs(void **state)
{
	struct usage_point points[] = {cutting_at(0, 0, 0, 0), cutting_at(1, 10, 0, 0),
		cutting_at(2, 20, 0, 0), cutting_at(3, 3620, 0, 0)};
	struct ledger_terms terms = {.key = 3};
	struct ledger_position start = ledger_cut_start(&points[0]);
	struct cutting *c = cutting_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		points[i].held = (struct usage_held){
			.known = 1u << HELD_IPV4, .value = {[HELD_IPV4] = 1}};
	for (size_t i = 1; i < ARRAY_SIZE(points); i++)
		usage_point_set(&points[i], USAGE_HELD_FIRST + HELD_DISK, 4096 * i);
	limits_init(&terms.limits);
	terms.limits.value[LIMIT_DISK] = 1 << 20;
	terms.limits.value[LIMIT_CPU] = 1000;
	c->cut.kind = LEDGER_CONTAINER;
	c->terms = &terms;
	c->n_terms = 1;
	cutting_go_on(c, &start, points, ARRAY_SIZE(points), 0, &terms);
	assert_int_equal(c->n, 2);
	assert_int_equal(cutting_amount(&c->pieces[0], "disk.used"), 4 * 10 * SECOND);
	assert_int_equal(cutting_amount(&c->pieces[1], "disk.used"), 0);
	assert_int_equal(cutting_amount(&c->pieces[0], "ipv4.address"), HOUR);
	assert_int_equal(cutting_amount(&c->pieces[1], "ipv4.address"), 20 * SECOND);
	assert_int_equal(cutting_amount(&c->pieces[0], "disk.allocated"), 1024 * HOUR);
	assert_true(c->pieces[0].flags & LEDGER_GAP);
	/* And nothing of what runs count. */
	assert_int_equal(c->pieces[0].present, ledger_bit(cutting_meter("disk.used")) |
						       ledger_bit(cutting_meter("ipv4.address")) |
						       ledger_bit(cutting_meter("disk.allocated")));
	free(c);
}

/* So many bytes came in by then, and half as many went out. */
static struct usage_point traffic_at(uint64_t sequence, int64_t second, uint64_t bytes)
{
	struct usage_point point = cutting_at(sequence, second, 0, 0);

	point.counters.has_net = 1;
	point.counters.net.outside_in.bytes = bytes;
	point.counters.net.outside_out.bytes = bytes / 2;
	/* What the tenant's containers have among each other is in no rate. */
	point.counters.net.all_in.bytes = 1000 * bytes;
	return point;
}

static void assert_slot(const struct cutting *c, size_t piece, size_t slot, uint64_t in)
{
	assert_int_equal(c->pieces[piece].slots.bytes[BURST_IN][slot], in);
	assert_int_equal(c->pieces[piece].slots.bytes[BURST_OUT][slot], in / 2);
}

static void traffic_is_told_by_five_minutes(void **state)
{
	/* The second interval is across an edge at a quarter, the last one across the hour's. */
	struct usage_point points[] = {traffic_at(0, 200, 500), traffic_at(1, 290, 900),
		traffic_at(2, 330, 1300), traffic_at(3, 600, 4000), traffic_at(4, 3580, 4000),
		traffic_at(5, 3620, 4400)};
	struct cutting *c = cutting_make();
	uint32_t carry[LEDGER_METERS] = {0};
	struct ledger_figures figures;

	(void)state;
	c->cut.gap_usec = UINT64_MAX;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 2);
	assert_slot(c, 0, 0, 400 + 100);
	/* The sample on the edge is before it. */
	assert_slot(c, 0, 1, 300 + 2700);
	for (size_t slot = 2; slot < 11; slot++)
		assert_slot(c, 0, slot, 0);
	assert_slot(c, 0, 11, 200);
	assert_slot(c, 1, 0, 200);
	ledger_figures_make(&c->pieces[0], carry, &figures);
	assert_int_equal(figures.quantity[cutting_meter("net.p95")], 3000 * 8 / 300);
	assert_memory_equal(&figures.slots, &c->pieces[0].slots, sizeof(figures.slots));
	free(c);
}

/* croftd was away for less than five minutes: no more than two of them are touched. For longer: the
 * bytes are on the bill, but nobody knows how fast they were. */
static void a_gap_has_no_rate(void **state)
{
	struct usage_point points[] = {traffic_at(0, 0, 0), traffic_at(1, 10, 100),
		traffic_at(2, 250, 1000), traffic_at(3, 350, 3000), traffic_at(4, 360, 3100),
		traffic_at(5, 3000, 900000), traffic_at(6, 3010, 900100)};
	struct cutting *c = cutting_make();

	(void)state;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 1);
	assert_int_equal(cutting_amount(&c->pieces[0], "net.ingress.outside"), 900100);
	assert_slot(c, 0, 0, 2000);
	assert_slot(c, 0, 1, 1100);
	for (size_t slot = 2; slot < BURST_SLOTS; slot++)
		assert_slot(c, 0, slot, slot == 10 ? 100 : 0);
	free(c);
}

/*
 * croftd went on looking, and nobody could tell it the traffic: what is found then is of all that
 * time. For longer than five minutes it has no rate, wherever an hour ended in it.
 */
static void traffic_that_nobody_read_has_no_rate(void **state)
{
	struct usage_point points[] = {traffic_at(0, 3000, 0), traffic_at(1, 3010, 100),
		cutting_at(2, 3150, 0, 0), cutting_at(3, 3300, 0, 0), traffic_at(4, 3310, 700),
		cutting_at(5, 3450, 0, 0), cutting_at(6, 3590, 0, 0), cutting_at(7, 3605, 0, 0),
		traffic_at(8, 3615, 900000), traffic_at(9, 3625, 900100)};
	struct cutting *c = cutting_make();

	(void)state;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 2);
	assert_int_equal(cutting_amount(&c->pieces[0], "net.ingress.outside"), 700);
	assert_int_equal(cutting_amount(&c->pieces[1], "net.ingress.outside"), 899400);
	/* Of five minutes and less it is of the interval that found it. */
	assert_slot(c, 0, 10, 100);
	assert_slot(c, 0, 11, 600);
	assert_slot(c, 1, 0, 100);
	free(c);
}

static void a_stepped_clock_labels_the_rate(void **state)
{
	struct usage_point points[] = {traffic_at(0, 100, 0), traffic_at(1, 110, 10),
		traffic_at(2, 120, 30), traffic_at(3, 130, 60)};
	struct cutting *c = cutting_make();

	(void)state;
	points[2].wall_usec += 2000 * SECOND;
	points[3].wall_usec += 2000 * SECOND;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 1);
	assert_slot(c, 0, 0, 10);
	assert_slot(c, 0, 7, 50);
	free(c);
}

/* A count is 0 where it is not there; what a sample found is of that sample's hour. */
static void a_disk_that_was_full_is_counted(void **state)
{
	struct usage_point points[] = {cutting_at(0, 3500, 0, 0), cutting_at(1, 3510, 0, 0),
		cutting_at(2, 3520, 0, 0), cutting_at(3, 3700, 0, 0), cutting_at(4, 3710, 0, 0),
		cutting_at(5, 3720, 0, 0)};
	static const uint64_t fills[] = {0, 0, 1, 3, 3, 3};
	struct cutting *c = cutting_make();
	size_t meter = cutting_meter("disk.denied");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		if (fills[i])
			usage_point_set(&points[i], USAGE_HELD_FIRST + HELD_FILLS, fills[i]);
	c->cut.kind = LEDGER_VOLUME;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 2);
	assert_int_equal(cutting_amount(&c->pieces[0], "disk.denied"), 1);
	assert_int_equal(cutting_amount(&c->pieces[1], "disk.denied"), 2);
	assert_true(c->pieces[0].present & ledger_bit(meter));
	free(c);
	/* Of one that never was there is no record. */
	c = cutting_make();
	c->cut.kind = LEDGER_TENANT;
	cutting_cut_all(c, points, 2);
	assert_int_equal(c->pieces[0].present, 0);
	free(c);
}

static void work_outside_containers_has_cpu_and_memory(void **state)
{
	struct usage_point points[] = {
		cutting_at(0, 0, 0, 0), cutting_at(1, 10, 700, 16), cutting_at(2, 70, 900, 16)};
	struct cutting *c = cutting_make();

	(void)state;
	c->cut.kind = LEDGER_WORK;
	cutting_cut_all(c, points, ARRAY_SIZE(points));
	assert_int_equal(c->n, 1);
	assert_int_equal(c->pieces[0].present, ledger_bit(cutting_meter("cpu.used")) |
						       ledger_bit(cutting_meter("cpu.throttled")) |
						       ledger_bit(cutting_meter("memory.used")) |
						       ledger_bit(cutting_meter("memory.peak")));
	assert_int_equal(cutting_amount(&c->pieces[0], "cpu.used"), 900);
	free(c);
}

static void figures_carry_what_is_left_over(void **state)
{
	struct ledger_piece piece = {.present = UINT64_MAX};
	uint32_t carry[LEDGER_METERS] = {0};
	struct ledger_figures figures;
	size_t m = cutting_meter("memory.used");
	uint64_t sum = 0;

	(void)state;
	piece.amount[m] = 1999999;
	for (int i = 0; i < 1000; i++) {
		ledger_figures_make(&piece, carry, &figures);
		sum += (uint64_t)figures.quantity[m];
	}
	assert_int_equal(sum, UINT64_C(1999999) * 1000 / 1000000);
	assert_int_equal(carry[m], UINT64_C(1999999) * 1000 % 1000000);
}

static void a_hundred_years_of_a_terabyte_do_not_overflow(void **state)
{
	struct usage_point points[] = {cutting_at(0, 0, 0, 0),
		cutting_at(1, 1, 0, UINT64_C(1) << 34),
		cutting_at(2, INT64_C(100) * 365 * 86400, UINT64_MAX / 2, UINT64_C(1) << 34)};
	struct cutting *c = cutting_make();
	unsigned __int128 memory = 0;
	uint64_t cpu = 0;
	struct err err;
	static const struct ledger_terms none;
	struct ledger_position start = ledger_cut_start(&points[0]);

	(void)state;
	/* One piece for all: no hour ends. */
	start.hour_end_usec = INT64_MAX;
	c->cut.gap_usec = UINT64_MAX;
	assert_int_equal(
		ledger_cut_begin(&c->cut, &start, &points[0], &none, points[0].wall_usec, &err), 0);
	assert_int_equal(ledger_cut_add(&c->cut, &points[1], &err), 0);
	assert_int_equal(ledger_cut_add(&c->cut, &points[2], &err), 0);
	assert_int_equal(ledger_cut_end(&c->cut, &err), 0);
	for (size_t i = 0; i < c->n; i++) {
		memory += c->pieces[i].amount[cutting_meter("memory.used")];
		cpu += cutting_amount(&c->pieces[i], "cpu.used");
	}
	assert_true(
		memory == ((unsigned __int128)1 << 34) *
				  (unsigned __int128)(points[2].boot_usec - points[1].boot_usec));
	assert_int_equal(cpu, UINT64_MAX / 2);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meters_are_those_of_before),
		cmocka_unit_test(an_hour_is_cut_where_the_clock_showed_it),
		cmocka_unit_test(a_sample_on_the_edge_is_before_it),
		cmocka_unit_test(a_run_of_no_time_at_all_has_a_piece),
		cmocka_unit_test(time_never_goes_back),
		cmocka_unit_test(downtime_is_spread_and_marked),
		cmocka_unit_test(a_counter_that_fell_adds_nothing_and_says_so),
		cmocka_unit_test(a_clock_set_back_makes_another_piece_of_that_hour),
		cmocka_unit_test(slewing_is_no_step),
		cmocka_unit_test(new_terms_split_the_hour),
		cmocka_unit_test(a_peak_belongs_to_the_hour_in_which_it_rose),
		cmocka_unit_test(what_is_held_counts_while_nothing_runs),
		cmocka_unit_test(traffic_is_told_by_five_minutes),
		cmocka_unit_test(a_gap_has_no_rate),
		cmocka_unit_test(traffic_that_nobody_read_has_no_rate),
		cmocka_unit_test(a_stepped_clock_labels_the_rate),
		cmocka_unit_test(a_disk_that_was_full_is_counted),
		cmocka_unit_test(work_outside_containers_has_cpu_and_memory),
		cmocka_unit_test(figures_carry_what_is_left_over),
		cmocka_unit_test(a_hundred_years_of_a_terabyte_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
