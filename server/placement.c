/* The choice of CPUs for `--cores auto`; see placement.h. Pure: the same in, the same out. */
#include "server/placement.h"

#include <string.h>

#define MILLIONTHS UINT64_C(1000) /* in a thousandth */

static bool has(const uint64_t mask[static LIMITS_CPU_WORDS], unsigned cpu)
{
	return mask[cpu / 64] >> (cpu % 64) & 1;
}

/* The first CPU of a mask from `cpu` on, or LIMITS_CPUS_MAX. */
static unsigned next_in(const uint64_t mask[static LIMITS_CPU_WORDS], unsigned cpu)
{
	while (cpu < LIMITS_CPUS_MAX) {
		uint64_t rest = mask[cpu / 64] >> (cpu % 64);

		if (rest)
			return cpu + (unsigned)__builtin_ctzll(rest);
		cpu = (cpu / 64 + 1) * 64;
	}
	return LIMITS_CPUS_MAX;
}

unsigned placement_count(uint64_t cpu_milli, unsigned available)
{
	uint64_t n = cpu_milli / 1000 + (cpu_milli % 1000 != 0);

	if (n > available)
		n = available;
	return n ? (unsigned)n : 1;
}

static uint64_t share(const uint64_t mask[static LIMITS_CPU_WORDS], uint64_t cpu_milli)
{
	unsigned n = limits_count_cores(mask);

	return n ? cpu_milli * MILLIONTHS / n : 0;
}

void placement_add(
	struct placement *p, const uint64_t mask[static LIMITS_CPU_WORDS], uint64_t cpu_milli)
{
	uint64_t each = share(mask, cpu_milli);

	for (unsigned cpu = next_in(mask, 0); cpu < LIMITS_CPUS_MAX; cpu = next_in(mask, cpu + 1)) {
		p->cpu[cpu].promised += each;
		p->cpu[cpu].holders++;
	}
}

void placement_remove(
	struct placement *p, const uint64_t mask[static LIMITS_CPU_WORDS], uint64_t cpu_milli)
{
	uint64_t each = share(mask, cpu_milli);

	for (unsigned cpu = next_in(mask, 0); cpu < LIMITS_CPUS_MAX; cpu = next_in(mask, cpu + 1)) {
		p->cpu[cpu].promised -= each;
		p->cpu[cpu].holders--;
	}
}

/* True when a is to be chosen before b, which has the lower number. first: of those chosen. */
static bool is_better(const struct placement *p, const uint64_t keep[static LIMITS_CPU_WORDS],
	unsigned first, unsigned a, unsigned b)
{
	const struct placement_cpu *x = &p->cpu[a];
	const struct placement_cpu *y = &p->cpu[b];

	if (x->promised != y->promised)
		return x->promised < y->promised;
	if (first < LIMITS_CPUS_MAX && x->package != y->package &&
		(x->package == p->cpu[first].package || y->package == p->cpu[first].package))
		return x->package == p->cpu[first].package;
	if (x->holders != y->holders)
		return x->holders < y->holders;
	return has(keep, a) && !has(keep, b);
}

void placement_choose(const struct placement *p, const uint64_t allowed[static LIMITS_CPU_WORDS],
	const uint64_t keep[static LIMITS_CPU_WORDS], unsigned n,
	uint64_t ret[static LIMITS_CPU_WORDS])
{
	uint64_t chosen[LIMITS_CPU_WORDS] = {0};
	uint64_t left[LIMITS_CPU_WORDS];
	unsigned first = LIMITS_CPUS_MAX;

	memcpy(left, allowed, sizeof(left));
	for (; n; n--) {
		unsigned best = next_in(left, 0);

		if (best == LIMITS_CPUS_MAX)
			break;
		for (unsigned cpu = next_in(left, best + 1); cpu < LIMITS_CPUS_MAX;
			cpu = next_in(left, cpu + 1))
			if (is_better(p, keep, first, cpu, best))
				best = cpu;
		if (first == LIMITS_CPUS_MAX)
			first = best;
		left[best / 64] &= ~(UINT64_C(1) << (best % 64));
		chosen[best / 64] |= UINT64_C(1) << (best % 64);
	}
	memcpy(ret, chosen, sizeof(chosen));
}

/* The most that is promised on one of these. */
static uint64_t peak(const struct placement *p, const uint64_t mask[static LIMITS_CPU_WORDS])
{
	uint64_t most = 0;

	for (unsigned cpu = next_in(mask, 0); cpu < LIMITS_CPUS_MAX; cpu = next_in(mask, cpu + 1))
		if (p->cpu[cpu].promised > most)
			most = p->cpu[cpu].promised;
	return most;
}

uint64_t placement_gain(const struct placement *p, uint64_t cpu_milli,
	const uint64_t from[static LIMITS_CPU_WORDS], const uint64_t to[static LIMITS_CPU_WORDS])
{
	uint64_t before = peak(p, from) + share(from, cpu_milli);
	uint64_t after = peak(p, to) + share(to, cpu_milli);

	if (before <= PLACEMENT_FULL_MILLI * MILLIONTHS ||
		before < after + PLACEMENT_GAIN_MILLI * MILLIONTHS)
		return 0;
	return before - after;
}
