/*
 * Who holds up whom: what the figures of a window say about containers that waited for CPU, memory
 * or disk. Numbers in, verdicts out: nothing here reads anything.
 *
 * Of the time that a container waited (the kernel's pressure, `some`) its own limits explain a
 * part, and its tenant's limits another, which it shares with the tenant's other containers. What
 * is left is the host's doing. Of these two it answers for as much itself as it used of what was
 * used; the others held it up for the rest. See docs/adr/0096.
 */
#pragma once

#include "base/limits.h"
#include "sandbox/supervisor_client.h"

#include <stdbool.h>
#include <stddef.h>

/* In ten-thousandths: of the window, below which nobody is a victim; and of what was used, below
 * which nobody is a culprit. */
#define NOISY_HELD_UP_MIN  1000u
#define NOISY_SHARE_MIN	   1000u
#define NOISY_CULPRITS_MAX 3
#define NOISY_VERDICTS_MAX 64

/* What a request to the disk counts for beside its bytes: a disk gets no more done for small ones.
 */
#define NOISY_REQUEST_BYTES UINT64_C(65536)

/* Of CPU in thousandths of a core, of memory in bytes, of I/O in bytes a second, requests and all.
 */
struct noisy_tenant {
	uint64_t weight[STALL_N]; /* beside other tenants */
	uint64_t most[STALL_N];	  /* that its limit allows; LIMIT_UNSET */
	uint64_t held_usec;	  /* by its CPU limit */
	bool at_limit[STALL_N];	  /* of memory or I/O: its limit was met */
	const void *who;	  /* the caller's */
	/* noisy_judge()'s: sums of its containers. */
	uint64_t used[STALL_N];
	uint64_t competing[STALL_N]; /* weights of those that want some */
	uint64_t in_the_way;	     /* of one victim's */
	bool named;		     /* one of them is its culprit */
};

struct noisy_container {
	const void *who; /* the caller's */
	size_t tenant;	 /* its number */
	uint64_t interval_usec;
	uint64_t waited_usec[STALL_N]; /* STALLS_UNKNOWN; of one that is frozen */
	uint64_t used[STALL_N];
	uint64_t weight[STALL_N]; /* beside the tenant's others */
	uint64_t most[STALL_N];
	uint64_t held_usec;
	bool at_limit[STALL_N];
	const uint64_t *cpus; /* LIMITS_CPU_WORDS, where it runs; NULL: on all */
};

struct noisy_scene {
	const struct noisy_container *containers;
	size_t n;
	struct noisy_tenant *tenants;
	size_t n_tenants;
	const uint64_t *cpus;	     /* LIMITS_CPU_WORDS: the host's */
	uint64_t capacity[STALL_N];  /* of the host; of I/O not known */
	uint64_t outside[STALL_N];   /* used by others than containers, so far as that is known */
	uint64_t used[STALL_N];	     /* noisy_judge()'s, as of a tenant */
	uint64_t competing[STALL_N]; /* weights of tenants */
	uint64_t load[LIMITS_CPUS_MAX]; /* of each CPU, in millionths of it */
};

/* A container; a tenant, of which all together used much and none alone; others than containers. */
enum noisy_who { NOISY_CONTAINER, NOISY_TENANT, NOISY_OUTSIDE };

struct noisy_culprit {
	enum noisy_who who;
	const struct noisy_container *one; /* of NOISY_CONTAINER */
	size_t tenant;			   /* its number; not of NOISY_OUTSIDE */
	/* In ten-thousandths of what was used where the victim waited. */
	uint32_t share;
	uint32_t fair; /* that it would have by weights and limits */
	bool above_fair;
};

struct noisy_verdict {
	const struct noisy_container *victim;
	enum stall of;
	bool in_tenant;	 /* it is the tenant's limit that was met: culprits are its own */
	uint32_t waited; /* in ten-thousandths of the window */
	uint32_t own;	 /* of it, its own doing */
	uint32_t
		held_up; /* by others, here; the rest of waited is a verdict of its own, or small */
	size_t n_culprits;
	struct noisy_culprit culprits[NOISY_CULPRITS_MAX]; /* other tenants' first, then by use */
};

/*
 * Fills ret with verdicts, who was held up most first; without culprits where nobody is known to
 * have used much. Returns how many; *ret_left_out is how many more there were.
 */
size_t noisy_judge(struct noisy_scene *scene, struct noisy_verdict ret[static NOISY_VERDICTS_MAX],
	size_t *ret_left_out);

/*
 * Of /proc/stat: the time that all CPUs together were busy, or taken by a hypervisor, in ticks.
 * Returns 0 or -EBADMSG. Source: proc(5).
 */
int noisy_parse_busy(const char *text, uint64_t *ret_ticks);
/* Of /proc/meminfo: a line's figure, in bytes. Returns 0, -ENOENT without it, or -EBADMSG. */
int noisy_parse_memory(const char *text, const char *name, uint64_t *ret_bytes);
