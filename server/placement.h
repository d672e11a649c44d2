/*
 * Where `--cores auto` runs: the choice of CPUs by what is promised on each of them.
 *
 * Numbers in, numbers out: nothing here knows of containers, of the kernel or of time.
 */
#pragma once

#include "base/limits.h"

#include <stdbool.h>

/*
 * A move is worth its price (caches that are cold, a write that the whole container waits for) when
 * a CPU is promised more than it has, and the most loaded one of the container's becomes less so by
 * a quarter of a CPU.
 */
#define PLACEMENT_FULL_MILLI 1000u
#define PLACEMENT_GAIN_MILLI 250u

struct placement_cpu {
	uint64_t promised; /* of it, in millionths */
	uint32_t holders;  /* of those promises */
	uint32_t package;  /* the processor that it is on */
};

/* Zeroed: nothing is promised, and all are on one package. */
struct placement {
	struct placement_cpu cpu[LIMITS_CPUS_MAX];
};

/* How many CPUs a quota can keep busy, of those that are available. */
unsigned placement_count(uint64_t cpu_milli, unsigned available);

/* Spreads a promise over the CPUs of a mask, an equal share each; and takes the same back. */
void placement_add(
	struct placement *p, const uint64_t mask[static LIMITS_CPU_WORDS], uint64_t cpu_milli);
void placement_remove(
	struct placement *p, const uint64_t mask[static LIMITS_CPU_WORDS], uint64_t cpu_milli);

/*
 * Chooses n CPUs of `allowed`, which has as many: those with the least promised on them; among
 * equals those on the package of the first one chosen, then those with the fewest holders, then
 * those in `keep`, then the lowest numbers.
 */
void placement_choose(const struct placement *p, const uint64_t allowed[static LIMITS_CPU_WORDS],
	const uint64_t keep[static LIMITS_CPU_WORDS], unsigned n,
	uint64_t ret[static LIMITS_CPU_WORDS]);

/*
 * What a promise that p does not count would gain by moving: how much less is promised on the most
 * loaded of its CPUs, in millionths. 0 when that is not worth a move.
 */
uint64_t placement_gain(const struct placement *p, uint64_t cpu_milli,
	const uint64_t from[static LIMITS_CPU_WORDS], const uint64_t to[static LIMITS_CPU_WORDS]);
