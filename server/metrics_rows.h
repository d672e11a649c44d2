/*
 * What /metrics says of tenants and containers: one row of figures for each, copied from memory,
 * and the table of families that are written from them.
 */
#pragma once

#include "server/metrics_text.h"
#include "server/server.h"

/* Rows on a page; tenants and containers beyond are counted, not shown. */
#define METRICS_ROWS_MAX 16384

enum metrics_value {
	METRICS_RUNNING,
	METRICS_FROZEN,
	METRICS_HEALTHY,
	METRICS_SUSPENDED,
	METRICS_CONTAINERS,
	METRICS_CONTAINERS_LIMIT,
	METRICS_CPU, /* in user mode, in the kernel, and not known in which: three */
	METRICS_CPU_THROTTLED = METRICS_CPU + 3,
	METRICS_CPU_LIMIT,
	METRICS_MEMORY,
	METRICS_WORKING_SET,
	METRICS_MEMORY_PEAK,
	METRICS_MEMORY_LIMIT,
	METRICS_MEMORY_AT_LIMIT,
	METRICS_OOM_KILLS,
	METRICS_PIDS,
	METRICS_PIDS_PEAK,
	METRICS_PIDS_LIMIT,
	METRICS_PIDS_DENIED,
	METRICS_FORKS,
	METRICS_SECCOMP_REFUSED,
	METRICS_DISK,
	METRICS_DISK_LIMIT,
	METRICS_WAITED, /* as enum stall: three */
	METRICS_STALLED = METRICS_WAITED + STALL_N,
	METRICS_RUNNING_TIME = METRICS_STALLED + STALL_N,
	METRICS_RUNS,
	METRICS_NET,			  /* as struct net_usage: eight */
	METRICS_IO = METRICS_NET + 8,	  /* as struct io_usage: four */
	METRICS_REFUSED = METRICS_IO + 4, /* as enum net_refusal_reason: those of tenants */
	METRICS_OPENED = METRICS_REFUSED + NET_REFUSED_OF_TENANTS, /* those let through */
	METRICS_DROPPED = METRICS_OPENED + NET_OPENED_N,	   /* by rate limits: in, out */
	METRICS_VALUES = METRICS_DROPPED + NET_DROPPED_N,
};

#define METRICS_NONE UINT64_MAX /* there is no such figure of it: no sample */

/* What stands between the braces: two names, a uid, an image, and what is around them. */
#define METRICS_LABELS_MAX	(2 * NAME_SIZE + 32)
#define METRICS_INFO_LABELS_MAX (METRICS_LABELS_MAX + NAME_SIZE + UID_SIZE + 32)

struct metrics_row {
	bool is_container;
	char labels[METRICS_LABELS_MAX];	   /* who it is */
	char info_labels[METRICS_INFO_LABELS_MAX]; /* and what that is; "": tenants have none */
	uint64_t values[METRICS_VALUES];
};

/* Fills a row, of what is committed alone, so that no counter falls when croftd is killed. */
void metrics_row_of_tenant(const struct tenant *tenant, uint64_t swept, struct metrics_row *ret);
void metrics_row_of_container(
	const struct container *container, uint64_t swept, struct metrics_row *ret);

/* The families, by index; two levels of each: tenants, containers. */
size_t metrics_n_families(void);
/* Help and type of a family. False where there is none of that level: its samples are left out. */
bool metrics_begin_family(struct metrics_text *text, size_t family, bool of_containers);
/* A row's samples of a family of its level. */
void metrics_add_samples(struct metrics_text *text, size_t family, const struct metrics_row *row);
