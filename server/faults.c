/* Telling of met limits and refused calls; see faults.h. */
#include "server/faults.h"

#include "base/telltale.h"
#include "server/details.h"
#include "server/events.h"

#include <inttypes.h>

static bool is_due(const struct run *run, enum fault fault, uint64_t now_boot_usec, bool final)
{
	return final || event_pace_is_due(&run->reported.pace[fault], now_boot_usec);
}

static uint64_t count_of(const struct counters *counters, enum fault fault)
{
	switch (fault) {
	case FAULT_OOM:
		return counters->oom_kills;
	case FAULT_PIDS:
		return counters->pids_denied;
	default:
		return counters->refused_calls;
	}
}

static bool rose(const struct run *run, const struct counters *counters, enum fault fault)
{
	return count_of(counters, fault) > run->reported.told[fault];
}

bool faults_pending(
	const struct container *c, const struct counters *counters, uint64_t now_boot_usec)
{
	for (enum fault fault = 0; fault < FAULT_N; fault++)
		if (rose(&c->run, counters, fault) && is_due(&c->run, fault, now_boot_usec, false))
			return true;
	return false;
}

/* That holds: the container's own, else its tenant's. */
static uint64_t limit_of(const struct container *c, enum limit_id id)
{
	uint64_t own = c->limits.value[id];

	return own != LIMIT_UNSET ? own : c->tenant->limits.value[id];
}

static void add_met_limit(
	struct db_tx *tx, struct container *c, enum fault fault, struct details *d, uint64_t new)
{
	details_limit(d, "limit", limit_of(c, fault == FAULT_OOM ? LIMIT_MEMORY : LIMIT_PIDS));
	if (fault == FAULT_OOM)
		events_add_container(tx, c, c->run.id, "container.oom", details_end(d),
			"%s/%s met its memory limit: %" PRIu64 " killed", c->tenant->name, c->name,
			new);
	else
		events_add_container(tx, c, c->run.id, "container.pids_denied", details_end(d),
			"%s/%s met its pids limit: %" PRIu64 " forks refused", c->tenant->name,
			c->name, new);
}

static void add_refused_calls(struct db_tx *tx, struct container *c,
	const struct counters *counters, struct details *d, uint64_t new)
{
	char calls[TELLTALE_TEXT_MAX];

	telltale_format(counters->refused_set, calls);
	details_text(d, "calls", calls);
	events_add_container(tx, c, c->run.id, "container.seccomp_refused", details_end(d),
		"%s/%s was refused %" PRIu64 " system calls that look for a way out: %s",
		c->tenant->name, c->name, new, calls);
}

/* Begins an event's details. Returns how many there are since the last that was told. */
static uint64_t count(
	struct details *d, const struct run *run, enum fault fault, const struct counters *counters)
{
	uint64_t total = count_of(counters, fault);
	uint64_t new = total - run->reported.told[fault];

	details_init(d);
	details_number(d, "count", new);
	details_number(d, "total", total);
	return new;
}

static void set_told(
	struct run *run, enum fault fault, const struct counters *counters, uint64_t now_boot_usec)
{
	run->reported.told[fault] = count_of(counters, fault);
	event_pace_take(&run->reported.pace[fault], now_boot_usec);
}

static void add(struct db_tx *tx, struct container *c, enum fault fault,
	const struct counters *counters, uint64_t now_boot_usec)
{
	struct details d;
	uint64_t new = count(&d, &c->run, fault, counters);

	if (fault == FAULT_CALLS)
		add_refused_calls(tx, c, counters, &d, new);
	else
		add_met_limit(tx, c, fault, &d, new);
	set_told(&c->run, fault, counters, now_boot_usec);
}

bool faults_add_events(struct db_tx *tx, struct container *c, const struct counters *counters,
	uint64_t now_boot_usec, bool final)
{
	bool added = false;

	for (enum fault fault = 0; fault < FAULT_N; fault++) {
		if (!rose(&c->run, counters, fault) ||
			!is_due(&c->run, fault, now_boot_usec, final))
			continue;
		add(tx, c, fault, counters, now_boot_usec);
		added = true;
	}
	return added;
}

bool faults_add_tenant_events(struct db_tx *tx, struct tenant *t, bool final)
{
	struct run *run = &t->own;
	const struct usage_point *last = &run->last;
	struct details d;
	uint64_t new;

	if (!rose(run, &last->counters, FAULT_PIDS) ||
		!is_due(run, FAULT_PIDS, last->boot_usec, final))
		return false;
	new = count(&d, run, FAULT_PIDS, &last->counters);
	details_limit(&d, "limit", t->limits.value[LIMIT_PIDS]);
	events_add_tenant(tx, t, "tenant.pids_denied", details_end(&d),
		"tenant %s met its pids limit: %" PRIu64 " forks refused", t->name, new);
	set_told(run, FAULT_PIDS, &last->counters, last->boot_usec);
	return true;
}
