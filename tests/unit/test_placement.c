/* server/placement.h: the least promised CPUs win; what is placed moves only when that pays. */
#include "server/placement.h"

#include "tests/unit/unit.h"

#include <string.h>

#define MASK(word) ((const uint64_t[LIMITS_CPU_WORDS]){word})

static const uint64_t none[LIMITS_CPU_WORDS];
static const uint64_t eight[LIMITS_CPU_WORDS] = {0xff};

static unsigned first_of(const uint64_t mask[static LIMITS_CPU_WORDS])
{
	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++)
		if (mask[cpu / 64] >> (cpu % 64) & 1)
			return cpu;
	return LIMITS_CPUS_MAX;
}

static void a_quota_keeps_so_many_busy(void **state)
{
	(void)state;
	assert_int_equal(placement_count(10, 8), 1);
	assert_int_equal(placement_count(1000, 8), 1);
	assert_int_equal(placement_count(1001, 8), 2);
	assert_int_equal(placement_count(1500, 8), 2);
	assert_int_equal(placement_count(8000, 8), 8);
	assert_int_equal(placement_count(64000, 8), 8);
	assert_int_equal(placement_count(UINT64_MAX - 2, 8), 8);
}

static void the_least_promised_win(void **state)
{
	struct placement p = {0};
	uint64_t got[LIMITS_CPU_WORDS];

	(void)state;
	placement_add(&p, MASK(0x0f), 4000);
	placement_add(&p, MASK(0x30), 1000);
	placement_choose(&p, eight, none, 2, got);
	assert_int_equal(got[0], 0xc0);
	placement_choose(&p, eight, none, 3, got);
	assert_int_equal(got[0], 0xd0);
	placement_choose(&p, MASK(0x1f), none, 1, got);
	assert_int_equal(got[0], 0x10);
}

static void equals_go_by_holders_then_place_then_number(void **state)
{
	struct placement p = {0};
	uint64_t got[LIMITS_CPU_WORDS];

	(void)state;
	placement_choose(&p, eight, none, 1, got);
	assert_int_equal(got[0], 1);
	placement_choose(&p, eight, MASK(1 << 5), 1, got);
	assert_int_equal(got[0], 1 << 5);
	/* 600 on each, of one holder on CPU 1 and of two on CPU 0. */
	placement_add(&p, MASK(1), 300);
	placement_add(&p, MASK(1), 300);
	placement_add(&p, MASK(2), 600);
	placement_choose(&p, MASK(3), MASK(1), 1, got);
	assert_int_equal(got[0], 2);
}

static void equals_stay_on_one_package(void **state)
{
	struct placement p = {0};
	uint64_t got[LIMITS_CPU_WORDS];

	(void)state;
	/* Neighbours in number are on different ones, as firmware likes to count. */
	for (unsigned cpu = 0; cpu < 8; cpu++)
		p.cpu[cpu].package = cpu % 2;
	placement_choose(&p, eight, none, 4, got);
	assert_int_equal(got[0], 0x55);
	placement_choose(&p, eight, MASK(0x2), 3, got);
	assert_int_equal(got[0], 0x2a);
	/* But what is promised goes before. */
	placement_add(&p, MASK(0x54), 3000);
	placement_choose(&p, eight, none, 2, got);
	assert_int_equal(got[0], 0x03);
}

static void words_have_no_seam(void **state)
{
	struct placement p = {0};
	uint64_t allowed[LIMITS_CPU_WORDS] = {0};
	uint64_t got[LIMITS_CPU_WORDS];

	(void)state;
	allowed[0] = UINT64_C(1) << 63;
	allowed[1] = 1;
	allowed[LIMITS_CPU_WORDS - 1] = UINT64_C(1) << 63;
	placement_choose(&p, allowed, none, 3, got);
	assert_memory_equal(got, allowed, sizeof(got));
	placement_add(&p, allowed, 3000);
	assert_int_equal(p.cpu[63].promised, 1000000);
	assert_int_equal(p.cpu[64].promised, 1000000);
	assert_int_equal(p.cpu[LIMITS_CPUS_MAX - 1].promised, 1000000);
	placement_choose(&p, allowed, none, 1, got);
	assert_int_equal(first_of(got), 63);
}

static void a_move_must_pay(void **state)
{
	static const uint64_t zero[LIMITS_CPU_WORDS] = {1};
	static const uint64_t one[LIMITS_CPU_WORDS] = {2};
	struct placement p = {0};

	(void)state;
	/* Room for both: nobody waits. */
	placement_add(&p, zero, 400);
	assert_int_equal(placement_gain(&p, 600, zero, one), 0);
	/* Too full, but not by enough on the other side. */
	placement_add(&p, zero, 600);
	placement_add(&p, one, 800);
	assert_int_equal(placement_gain(&p, 600, zero, one), 0);
	placement_add(&p, zero, 50);
	assert_int_equal(placement_gain(&p, 600, zero, one), 250000);
	assert_int_equal(placement_gain(&p, 600, one, zero), 0);
	assert_int_equal(placement_gain(&p, 600, zero, zero), 0);
}

/* --- what holds for whatever comes --- */

#define ROUNDS 300
#define HELD   24

struct held {
	uint64_t cpus[LIMITS_CPU_WORDS];
	uint64_t milli;
};

static uint64_t seed;

static uint64_t any(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % below;
}

static void any_mask(uint64_t ret[static LIMITS_CPU_WORDS], unsigned n_cpus)
{
	memset(ret, 0, sizeof(uint64_t[LIMITS_CPU_WORDS]));
	do {
		for (unsigned i = 0; i < n_cpus; i++)
			if (any(2))
				ret[i / 64] |= UINT64_C(1) << (i % 64);
	} while (!limits_count_cores(ret));
}

static bool is_within(const uint64_t inner[static LIMITS_CPU_WORDS],
	const uint64_t outer[static LIMITS_CPU_WORDS])
{
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		if (inner[i] & ~outer[i])
			return false;
	return true;
}

/* Nobody who was left out has less on it than one who was chosen, and the same comes out again. */
static void check_choice(const struct placement *p, const uint64_t allowed[static LIMITS_CPU_WORDS],
	const uint64_t keep[static LIMITS_CPU_WORDS], unsigned n,
	const uint64_t got[static LIMITS_CPU_WORDS])
{
	uint64_t most_chosen = 0;
	uint64_t again[LIMITS_CPU_WORDS];

	assert_int_equal(limits_count_cores(got), n);
	assert_true(is_within(got, allowed));
	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++)
		if (got[cpu / 64] >> (cpu % 64) & 1 && p->cpu[cpu].promised > most_chosen)
			most_chosen = p->cpu[cpu].promised;
	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++)
		if ((allowed[cpu / 64] & ~got[cpu / 64]) >> (cpu % 64) & 1)
			assert_true(p->cpu[cpu].promised >= most_chosen);
	placement_choose(p, allowed, keep, n, again);
	assert_memory_equal(again, got, sizeof(again));
}

static void every_choice_is_of_the_least_promised(void **state)
{
	(void)state;
	seed = 79;
	for (int round = 0; round < ROUNDS; round++) {
		unsigned n_cpus = 1 + (unsigned)any(200);
		struct placement p = {0};
		uint64_t allowed[LIMITS_CPU_WORDS];
		uint64_t keep[LIMITS_CPU_WORDS];
		uint64_t got[LIMITS_CPU_WORDS];
		unsigned n;

		for (int i = 0; i < HELD; i++) {
			any_mask(got, n_cpus);
			placement_add(&p, got, any(4000));
		}
		any_mask(allowed, n_cpus);
		any_mask(keep, n_cpus);
		n = placement_count(any(9000), limits_count_cores(allowed));
		placement_choose(&p, allowed, keep, n, got);
		check_choice(&p, allowed, keep, n, got);
	}
}

/* What was added and taken back leaves nothing, in whatever order. */
static void promises_are_taken_back_whole(void **state)
{
	static const struct placement empty;
	struct placement p = {0};
	struct held held[HELD];

	(void)state;
	seed = 7;
	for (int i = 0; i < HELD; i++) {
		any_mask(held[i].cpus, 100);
		held[i].milli = any(5000);
		placement_add(&p, held[i].cpus, held[i].milli);
	}
	for (int i = HELD - 1; i >= 0; i -= 2)
		placement_remove(&p, held[i].cpus, held[i].milli);
	for (int i = 0; i < HELD; i += 2)
		placement_remove(&p, held[i].cpus, held[i].milli);
	assert_memory_equal(&p, &empty, sizeof(p));
}

/* The one that gains most moves, until none gains: as croftd does it. Returns how often. */
static unsigned settle(struct placement *p, struct held *held, unsigned n_cpus)
{
	uint64_t allowed[LIMITS_CPU_WORDS] = {0};
	unsigned moves = 0;

	for (unsigned i = 0; i < n_cpus; i++)
		allowed[i / 64] |= UINT64_C(1) << (i % 64);
	for (;; moves++) {
		uint64_t most = 0;
		uint64_t best_to[LIMITS_CPU_WORDS];
		int best = -1;

		for (int i = 0; i < HELD; i++) {
			uint64_t gain;
			uint64_t to[LIMITS_CPU_WORDS];

			placement_remove(p, held[i].cpus, held[i].milli);
			placement_choose(p, allowed, held[i].cpus,
				placement_count(held[i].milli, n_cpus), to);
			gain = placement_gain(p, held[i].milli, held[i].cpus, to);
			placement_add(p, held[i].cpus, held[i].milli);
			if (gain > most) {
				most = gain;
				best = i;
				memcpy(best_to, to, sizeof(best_to));
			}
		}
		if (best < 0 || moves > 1000)
			return moves;
		placement_remove(p, held[best].cpus, held[best].milli);
		memcpy(held[best].cpus, best_to, sizeof(best_to));
		placement_add(p, held[best].cpus, held[best].milli);
	}
}

/* Moves come to an end, whatever they start from; and few are made of a host that is placed well.
 */
static void moves_come_to_rest(void **state)
{
	(void)state;
	seed = 1;
	for (int round = 0; round < ROUNDS / 10; round++) {
		unsigned n_cpus = 2 + (unsigned)any(15);
		struct placement p = {0};
		struct held held[HELD];

		for (int i = 0; i < HELD; i++) {
			/* All begin on the first CPUs: the worst there is. */
			held[i].milli = 100 + any(3000);
			memset(held[i].cpus, 0, sizeof(held[i].cpus));
			held[i].cpus[0] = (UINT64_C(1) << placement_count(held[i].milli, n_cpus)) -
					  1;
			placement_add(&p, held[i].cpus, held[i].milli);
		}
		assert_true(settle(&p, held, n_cpus) <= 4 * HELD);
		assert_int_equal(settle(&p, held, n_cpus), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quota_keeps_so_many_busy),
		cmocka_unit_test(the_least_promised_win),
		cmocka_unit_test(equals_go_by_holders_then_place_then_number),
		cmocka_unit_test(equals_stay_on_one_package),
		cmocka_unit_test(words_have_no_seam),
		cmocka_unit_test(a_move_must_pay),
		cmocka_unit_test(every_choice_is_of_the_least_promised),
		cmocka_unit_test(promises_are_taken_back_whole),
		cmocka_unit_test(moves_come_to_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
