/* Times of being held by a limit; see pressure.h. Must never say of a gap what it did not see. */
#include "server/pressure.h"

#include "server/details.h"
#include "server/events.h"

#include <inttypes.h>

/* Of one interval. */
enum reading { READING_BETWEEN, READING_ON, READING_OFF };

static uint64_t limit_of(const struct tenant *t, const struct container *c, enum limit_id id)
{
	return c ? c->limits.value[id] : t->limits.value[id];
}

/* Met again and again by what is only cached is no pressure: the kernel just takes other pages. */
static enum reading read_memory(
	uint64_t limit, const struct counters *before, const struct counters *now)
{
	uint64_t used = now->memory_working_set_bytes;

	if (limit == LIMIT_UNSET || used < limit / 100 * PRESSURE_MEMORY_OFF_PERCENT)
		return READING_OFF;
	if (used >= limit / 100 * PRESSURE_MEMORY_ON_PERCENT &&
		now->memory_at_limit > before->memory_at_limit)
		return READING_ON;
	return READING_BETWEEN;
}

static enum reading read_cpu(const struct usage_point *before, const struct usage_point *now)
{
	uint64_t held = now->counters.cpu_throttled_usec - before->counters.cpu_throttled_usec;
	uint64_t passed = now->boot_usec - before->boot_usec;

	if (now->counters.cpu_throttled_usec < before->counters.cpu_throttled_usec || !passed)
		return READING_BETWEEN;
	if (held >= passed / 100 * PRESSURE_CPU_ON_PERCENT)
		return READING_ON;
	return held <= passed / 100 * PRESSURE_CPU_OFF_PERCENT ? READING_OFF : READING_BETWEEN;
}

/* True when an episode has begun, or is over, by this reading. */
static bool turns(struct episode *e, enum reading reading, uint64_t now, uint64_t hold_usec)
{
	if (reading != (e->on ? READING_OFF : READING_ON)) {
		e->turning_boot_usec = 0;
		return false;
	}
	if (!e->turning_boot_usec)
		e->turning_boot_usec = now;
	return now - e->turning_boot_usec >= hold_usec;
}

static void add(struct db_tx *tx, const struct tenant *t, const struct container *c,
	const struct run *run, const char *of_container, const char *of_tenant, const char *details,
	const char *what)
{
	if (c)
		events_add_container(
			tx, c, run->id, of_container, details, "%s/%s %s", t->name, c->name, what);
	else
		events_add_tenant(tx, t, of_tenant, details, "tenant %s %s", t->name, what);
}

static void add_begin(struct db_tx *tx, const struct tenant *t, const struct container *c,
	const struct run *run, enum pressure kind)
{
	enum limit_id id = kind == PRESSURE_MEMORY ? LIMIT_MEMORY : LIMIT_CPU;
	struct details d;

	details_init(&d);
	details_limit(&d, "limit", limit_of(t, c, id));
	if (kind == PRESSURE_MEMORY) {
		details_number(
			&d, "working_set_bytes", run->last.counters.memory_working_set_bytes);
		add(tx, t, c, run, "container.memory_at_limit", "tenant.memory_at_limit",
			details_end(&d), "uses all the memory that it may");
	} else {
		details_number(&d, "throttled_usec", run->last.counters.cpu_throttled_usec);
		add(tx, t, c, run, "container.cpu_throttled", "tenant.cpu_throttled",
			details_end(&d), "is held by its CPU limit");
	}
}

static void add_end(struct db_tx *tx, const struct tenant *t, const struct container *c,
	const struct run *run, enum pressure kind)
{
	const struct episode *e = &run->reported.episodes[kind];
	struct details d;

	details_init(&d);
	details_number(&d, "seconds", (run->last.boot_usec - e->began_boot_usec) / 1000000);
	if (kind == PRESSURE_MEMORY) {
		details_number(&d, "count", run->last.counters.memory_at_limit - e->began_counter);
		add(tx, t, c, run, "container.memory_relieved", "tenant.memory_relieved",
			details_end(&d), "has memory to spare again");
	} else {
		details_number(&d, "throttled_usec",
			run->last.counters.cpu_throttled_usec - e->began_counter);
		add(tx, t, c, run, "container.cpu_unthrottled", "tenant.cpu_unthrottled",
			details_end(&d), "is no longer held by its CPU limit");
	}
}

static bool look(struct db_tx *tx, const struct tenant *t, const struct container *c,
	struct run *run, enum pressure kind, enum reading reading, uint64_t hold_usec)
{
	struct episode *e = &run->reported.episodes[kind];
	uint64_t now = run->last.boot_usec;

	if (!turns(e, reading, now, hold_usec) || (!e->on && !event_pace_is_due(&e->pace, now)))
		return false;
	if (e->on) {
		add_end(tx, t, c, run, kind);
		e->on = false;
	} else {
		add_begin(tx, t, c, run, kind);
		event_pace_take(&e->pace, now);
		e->on = true;
		e->began_boot_usec = now;
		e->began_counter = kind == PRESSURE_MEMORY ? run->last.counters.memory_at_limit
							   : run->last.counters.cpu_throttled_usec;
	}
	e->turning_boot_usec = 0;
	return true;
}

bool pressure_add_events(struct db_tx *tx, const struct tenant *t, const struct container *c,
	struct run *run, const struct usage_point *before, uint64_t interval_usec)
{
	uint64_t hold = PRESSURE_INTERVALS * interval_usec - interval_usec / 4;
	bool added = look(tx, t, c, run, PRESSURE_MEMORY,
		read_memory(limit_of(t, c, LIMIT_MEMORY), &before->counters, &run->last.counters),
		hold);

	added |= look(tx, t, c, run, PRESSURE_CPU, read_cpu(before, &run->last), hold);
	return added;
}
