/*
 * What is on the bill: one row a meter. A meter's place in the table is its number in the ledger,
 * for ever: add at the end.
 */
#pragma once

#include "base/limits.h"
#include "server/usage_sum.h"

enum ledger_meter_kind {
	METER_COUNTER,	   /* what a raw counter went on by */
	METER_RUNNING,	   /* time */
	METER_WORKING_SET, /* a gauge over time */
	METER_MEMORY_PEAK,
	METER_PIDS_PEAK,
	METER_ALLOCATED, /* a limit over time */
	METER_HELD,	 /* what is held, over time */
	METER_RISE,	 /* how far a count of what is held went up */
	METER_BURST, /* the highest of the traffic's five minutes; of more hours see base/burst.h */
};

/* What samples, and pieces of them, are of. Their numbers are kept. */
enum ledger_kind {
	LEDGER_RUN,	  /* a run of a container */
	LEDGER_CONTAINER, /* a container on one boot of the host, whether it runs or not */
	LEDGER_TENANT,	  /* the same of a tenant */
	LEDGER_VOLUME,
	LEDGER_WORK, /* what is done for a tenant outside its containers */
	LEDGER_OWN,  /* a tenant's directory: all that it runs, as one */
	LEDGER_KINDS,
};

/* What is held is sampled at one look for full disks in so many. */
#define LEDGER_HELD_LOOKS 6
/* Those that have a sample at each sweep. */
static inline bool ledger_kind_is_swept(enum ledger_kind kind)
{
	return kind == LEDGER_RUN || kind == LEDGER_OWN;
}

struct ledger_meter {
	const char *name;
	const char *unit;
	const char *aggregation; /* sum, time_weighted, max or p95 */
	enum ledger_meter_kind kind;
	unsigned of;	/* 1 << ledger_kind */
	int counter_id; /* of METER_COUNTER, in usage_counters[] */
	enum usage_held_id held;
	enum limit_id limit; /* of METER_ALLOCATED */
	uint32_t per;	     /* that or what is held is counted in so many of its own unit */
	enum usage_group group;
	uint32_t divisor; /* what is added up, over the quantity */
};

#define LEDGER_METERS 40
/* Places of some. */
#define LEDGER_CPU_USED	       0
#define LEDGER_TENANT_CPU_USED 33
extern const struct ledger_meter ledger_meters[LEDGER_METERS];

/* Of a set of meters. Sets are kept as numbers of any size, and are no part of a record's hash. */
static inline uint64_t ledger_bit(size_t meter)
{
	_Static_assert(LEDGER_METERS <= 64, "a bit for each meter");
	return UINT64_C(1) << meter;
}

/* What is written to the disk: io.write and io.write.ops. */
bool ledger_meter_is_write(size_t meter);

/* Those that entries closed by an earlier version can lack, though their samples had them. */
#define LEDGER_FIRST_METERS 31
static inline uint64_t ledger_later_meters(void)
{
	return ~UINT64_C(0) << LEDGER_FIRST_METERS;
}

static inline bool ledger_meter_is_max(size_t meter)
{
	return ledger_meters[meter].kind == METER_MEMORY_PEAK ||
	       ledger_meters[meter].kind == METER_PIDS_PEAK;
}

/* Of several hours it is worked out of their five minutes, not of their quantities. */
static inline bool ledger_meter_is_burst(size_t meter)
{
	return ledger_meters[meter].kind == METER_BURST;
}
