/*
 * Episodes in which a container, or a tenant as a whole, is held by its limits: memory that is all
 * in use, processes that wait for their share of the CPU. One event when such a time has begun and
 * lasts, and one when it is over: neither moves the other by a hair's breadth.
 */
#pragma once

#include "server/db.h"
#include "server/model.h"

/* Memory: the limit is met while so much of it is the working set; over below the second. */
#define PRESSURE_MEMORY_ON_PERCENT  90
#define PRESSURE_MEMORY_OFF_PERCENT 85
/* CPU: for so much of the time its processes are made to wait; over below the second. */
#define PRESSURE_CPU_ON_PERCENT	 25
#define PRESSURE_CPU_OFF_PERCENT 5
/* Sampling intervals for which it must be so. */
#define PRESSURE_INTERVALS 2

/*
 * Looks at a run's sample and the one before it, and adds what has begun or is over. container is
 * NULL for a tenant's own directory. Returns true when something was added.
 */
bool pressure_add_events(struct db_tx *tx, const struct tenant *tenant,
	const struct container *container, struct run *run, const struct usage_point *before,
	uint64_t interval_usec);
