/*
 * What samples add up to: pure functions, so that the same arithmetic can be tested, repeated and
 * verified.
 *
 * A delta is taken between two samples of one run only (a run is one boot of a container on one
 * boot of the host). A counter that fell begins a new epoch: nothing is added for that interval. A
 * gauge counts for an interval with the smaller of the values at its ends; in a gap, where it was
 * not watched, with nothing: the provable minimum.
 */
#pragma once

#include "sandbox/supervisor_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read at once, begins anew at once, and is there or not. */
enum usage_group {
	USAGE_CGROUP,
	USAGE_NET, /* its traffic: of a run with a network */
	USAGE_IO,  /* its I/O: where the host counts it */
};

/*
 * What is held, whether anything runs or not: gauges, and a count. Their places are their ids in
 * samples, which never change.
 */
enum usage_held_id {
	HELD_DISK,	/* bytes that are in use */
	HELD_SNAPSHOTS, /* bytes of its snapshots, each as it was when it was made */
	HELD_IPV4,	/* addresses */
	HELD_SIZE,	/* bytes that a volume may have */
	HELD_MARK,	/* is in old samples, and tells nothing */
	HELD_FILLS, /* how often its disk was found full since its row began; not there: never */
	HELD_N,
};
#define USAGE_HELD_FIRST 23 /* the id of the first */

struct usage_held {
	uint32_t known; /* 1 << usage_held_id */
	uint64_t value[HELD_N];
};

/* The raw counters of a sample: `id` is what the ledger keeps, and never changes its meaning. */
struct usage_counter {
	int id;
	size_t offset; /* in struct counters */
	bool cumulative;
	enum usage_group group;
};

#define USAGE_COUNTERS	22
#define USAGE_NET_FIRST 11 /* ids of its traffic's */
#define USAGE_NET_LAST	18
extern const struct usage_counter usage_counters[USAGE_COUNTERS];

uint64_t usage_counter_get(const struct counters *counters, const struct usage_counter *counter);
/* Sets the counter with this id (one of I/O: and that it is known); false when there is none. */
bool usage_counter_set(struct counters *counters, int id, uint64_t value);

struct usage_point {
	uint64_t sequence; /* 0: the run's start, where every counter is zero but its traffic's */
	uint64_t boot_usec;
	int64_t wall_usec;
	struct counters counters;
	struct usage_held held;
};

/* Sets what a sample's row says, by its id. An id that nobody knows is of a later version. */
void usage_point_set(struct usage_point *point, int id, uint64_t value);

struct usage_totals {
	uint64_t cpu_usec;
	uint64_t throttled_usec;
	unsigned __int128 memory_kib_usec; /* of the working set */
	uint64_t memory_peak_bytes;
	uint64_t pids_peak;
	uint64_t pids_denied;
	uint64_t oom_kills;
	uint64_t memory_at_limit;
	uint64_t running_usec;
	uint64_t runs;
	struct net_usage net;
	struct io_usage io;
	/* Parts of cpu_usec; what is in neither was before anybody asked in which mode. */
	uint64_t cpu_user_usec;
	uint64_t cpu_system_usec;
};

enum usage_flag {
	USAGE_COUNTER_FELL = 1, /* of one group: its counters add nothing */
	USAGE_GAP = 2,		/* the interval was longer than gap_usec */
};

/* Adds what happened from one point of a run to a later one. Returns enum usage_flag, or'ed. */
unsigned usage_add(struct usage_totals *totals, const struct usage_point *from,
	const struct usage_point *to, uint64_t gap_usec);

/* True when a group's counters are known at that point. */
bool usage_has(const struct counters *counters, enum usage_group group);

/*
 * Where the traffic or the I/O was not read (nobody could, just then), the later point has what the
 * earlier one had, so that the next one spans both intervals. Time in user mode that is beyond
 * what was used meanwhile (it comes in ticks) is the next interval's.
 */
void usage_carry(struct usage_point *to, const struct usage_point *from);

/* Adds up totals of several runs; peaks are the highest. */
void usage_totals_merge(struct usage_totals *to, const struct usage_totals *from);

/*
 * What holds a tenant as a whole happens to its directory, of which its containers' sums say
 * nothing: of peaks and of time held back the larger figure is taken. Limits that it met are added
 * to those that they met, as no container counts those of the directory (counters.h).
 */
void usage_totals_take_own(struct usage_totals *totals, const struct usage_totals *own);

/* Takes back what was merged; the peaks stay, as they were met. */
void usage_totals_subtract(struct usage_totals *from, const struct usage_totals *part);

#define USAGE_DECIMAL_MAX 40
/* Writes a 128-bit number in decimal. Returns out. */
const char *usage_format(unsigned __int128 value, char out[static USAGE_DECIMAL_MAX]);
/* The same with a "-" before it where it is less than nothing. */
const char *usage_format_signed(
	bool negative, unsigned __int128 value, char out[static USAGE_DECIMAL_MAX + 1]);
