/*
 * Limits: the one table of what can be limited, in which unit and within which bounds.
 *
 * The CLI parses with it, croftd validates with it, and the supervisor checks every set it is sent
 * with it again. To add a limit, add a row here and the control that enforces it.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum limit_id {
	LIMIT_CPU,	   /* quota: thousandths of a core */
	LIMIT_CPU_WEIGHT,  /* share under contention: 1 to 10000, 100 is the default (as cgroup v2)
			    */
	LIMIT_CORES,	   /* a number of cores that Croft chooses, or LIMIT_CORES_AUTO; a list goes
			      into core_mask */
	LIMIT_MEMORY,	   /* bytes, without swap */
	LIMIT_SWAP,	   /* bytes of swap beside the memory */
	LIMIT_PIDS,	   /* tasks: processes and threads, init and exec included */
	LIMIT_DISK,	   /* bytes in the pool */
	LIMIT_CONTAINERS,  /* containers a tenant may have */
	LIMIT_RATE_IN,	   /* bytes of IP packets a second towards it; see net_shape.h */
	LIMIT_RATE_OUT,	   /* the other way */
	LIMIT_LOG,	   /* bytes of containers' output that croftd keeps */
	LIMIT_INODES,	   /* files, directories, links in the pool: what has a name */
	LIMIT_IO_READ,	   /* bytes a second from the pool's device */
	LIMIT_IO_WRITE,	   /* the other way */
	LIMIT_IO_READ_OPS, /* the same in requests a second */
	LIMIT_IO_WRITE_OPS,
	LIMIT_TRAFFIC,	    /* bytes exchanged with outside in a period; see allowance.h */
	LIMIT_TRAFFIC_OUT,  /* of these, bytes that were sent */
	LIMIT_TRAFFIC_RATE, /* bytes a second each way when one of them is used up */
	LIMIT_N,
};

#define LIMIT_UNSET UINT64_MAX /* no limit of its own: held by the tenant's, or by none */
/* Of LIMIT_CORES: as many as the CPU limit can keep busy, of Croft's choice. */
#define LIMIT_CORES_AUTO (LIMIT_UNSET - 1)
#define LIMITS_CPUS_MAX	 1024 /* highest CPU number + 1 that a list can name */
#define LIMITS_CPU_WORDS (LIMITS_CPUS_MAX / 64)

#define CPU_WEIGHT_DEFAULT 100

/* Of a network, in bytes a second. */
#define NET_RATE_MIN 8192u
#define NET_RATE_MAX (UINT64_C(1) << 40)

/*
 * Of a pool's device. Who has to wait for it may hold what its neighbours wait for, a lock of the
 * file system or a page of an image, for as long as its own queue is: below these for far too long
 * (ADR 71).
 */
#define IO_RATE_MIN (UINT64_C(8) << 20)
#define IO_RATE_MAX (UINT64_C(1) << 40)
#define IO_OPS_MIN  500u
#define IO_OPS_MAX  1000000000u

/* Fixed size: it is part of wire messages and state files. */
struct limits {
	uint64_t value[LIMIT_N];	      /* LIMIT_UNSET where nothing is asked */
	uint64_t core_mask[LIMITS_CPU_WORDS]; /* all zero: not pinned to a list */
};

/* Those that a pool enforces, and what counts to them; LIMIT_UNSET: none. */
struct disk_limits {
	uint64_t bytes;
	uint64_t inodes;
};

#define DISK_LIMITS_NONE ((struct disk_limits){LIMIT_UNSET, LIMIT_UNSET})

enum limit_kind {
	LIMIT_KIND_COUNT,
	LIMIT_KIND_SIZE,
	LIMIT_KIND_CORES,
	LIMIT_KIND_MILLI,
	LIMIT_KIND_RATE, /* bytes a second */
	LIMIT_KIND_IO,	 /* bytes a second, requests a second, or both; see limit_rule.ops */
	LIMIT_KIND_OPS,	 /* requests a second */
};

struct limit_rule {
	const char *name; /* in the API's errors and as the CLI's --flag: "cpu-weight" */
	enum limit_kind kind;
	uint64_t min;
	uint64_t max;
	uint64_t tenant_default; /* the plan `default` of a new tenant; LIMIT_UNSET: none */
	int tenant_only;	 /* not a limit of a container */
	/* LIMIT_KIND_IO: the limit of requests that is written, and read, together with it. */
	enum limit_id ops;
};

/* The row of a limit; id must be below LIMIT_N. */
const struct limit_rule *limit_rule(enum limit_id id);

/* The limit of that name. Returns 0 or -ENOENT. */
int limit_find(const char *name, enum limit_id *ret);

/* Everything unset, no core pinned. */
void limits_init(struct limits *l);

/* The plan `default`: what a tenant gets that asks for nothing. */
void limits_init_tenant_default(struct limits *l);

/* How many CPUs are set in a mask. */
unsigned limits_count_cores(const uint64_t mask[static LIMITS_CPU_WORDS]);

/* True when a core list is set. */
int limits_has_core_mask(const struct limits *l);

/* True when both ask for the same. */
int limits_equal(const struct limits *a, const struct limits *b);

/*
 * Checks each set value against its row. Returns 0 or -EINVAL (INVALID_ARGUMENT, LIMIT_INVALID,
 * subject the limit's name).
 */
int limits_check(const struct limits *l, struct err *err);

/* What of a set is the pool's; and the check of that alone. */
struct disk_limits limits_disk(const struct limits *l);
int limits_check_disk(const struct disk_limits *disk, struct err *err);

/* The first of a container's limits that is above its tenant's, or LIMIT_N; cores aside. */
enum limit_id limits_first_above(const struct limits *container, const struct limits *tenant);
/*
 * Checks that a container's limits do not exceed its tenant's. Returns 0 or -EINVAL
 * (INVALID_ARGUMENT, LIMIT_ABOVE_TENANT) naming the limit and both figures.
 */
int limits_check_within(
	const struct limits *container, const struct limits *tenant, struct err *err);

/* Takes what exceeds the tenant's down to it, so that limits_check_within() says yes. */
void limits_fit_within(struct limits *container, const struct limits *tenant);

/* Sets in `to` every value that is set in `from` (a core list replaces a number, and back). */
void limits_merge(struct limits *to, const struct limits *from);

/* Takes over those of I/O, set or not. */
void limits_take_io(struct limits *to, const struct limits *from);
/* Whether it is one of I/O. */
bool limit_is_io(enum limit_id id);

/*
 * Reads one limit as the CLI writes it: "0.5" cores, "64M", "500"; for LIMIT_CORES also "0,2-3" and
 * "auto"; of LIMIT_KIND_IO "10MiB", "500iops" or "10MiB,500iops", and what is not named of the two
 * is unset. "none" unsets it. Returns 0 or -EINVAL with a sentence.
 */
int limits_parse(struct limits *l, enum limit_id id, const char *text, struct err *err);

#define LIMIT_TEXT_MAX 64
/* A value for people: "512 MiB", "0.5", "64", "none". Returns out. */
const char *limit_format(enum limit_id id, uint64_t value, char out[static LIMIT_TEXT_MAX]);

/* Writes the set CPUs as a kernel list ("0,2-3"). Returns out, cut when size is too small. */
const char *limits_format_cores(
	const uint64_t mask[static LIMITS_CPU_WORDS], char *out, size_t size);

/* Reads a kernel CPU list. Returns 0, or -EINVAL when malformed, empty or out of range. */
int limits_parse_cores(const char *text, uint64_t ret_mask[static LIMITS_CPU_WORDS]);

/* A pool's smallest size: below, its file system keeps most of it for itself. */
#define POOL_SIZE_MIN (UINT64_C(256) << 20)

/* Of what is kept of containers' output; and of a container's, where nobody says another. */
#define LOG_SIZE_MIN	 (UINT64_C(256) << 10)
#define LOG_SIZE_DEFAULT (UINT64_C(2) << 20)

/* "64M" = "64MiB" = 67108864, "64MB" = 64000000, "64" bytes; K M G T. Returns 0 or -EINVAL. */
int size_parse(const char *text, uint64_t *ret_bytes);

/* "1.5 GiB", "512 MiB", "100 B": binary units, at most one decimal. Returns out. */
const char *size_format(uint64_t bytes, char out[static LIMIT_TEXT_MAX]);
