/* Telling of met limits and refused calls; see faults.h. */
#include "server/faults.h"

#include "base/telltale.h"
#include "server/details.h"
#include "server/events.h"

#include <inttypes.h>

static bool is_due(const struct container *c, enum fault fault, uint64_t now_boot_usec, bool final)
{
	return final || event_pace_is_due(&c->run.reported.pace[fault], now_boot_usec);
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

static bool rose(const struct container *c, const struct counters *counters, enum fault fault)
{
	return count_of(counters, fault) > c->run.reported.told[fault];
}

bool faults_pending(
	const struct container *c, const struct counters *counters, uint64_t now_boot_usec)
{
	for (enum fault fault = 0; fault < FAULT_N; fault++)
		if (rose(c, counters, fault) && is_due(c, fault, now_boot_usec, false))
			return true;
	return false;
}

/* The limit that holds: the container's own, else its tenant's; null where neither has one. */
static void add_limit(struct details *d, const struct container *c, enum limit_id id)
{
	uint64_t own = c->limits.value[id];
	uint64_t limit = own != LIMIT_UNSET ? own : c->tenant->limits.value[id];

	if (limit == LIMIT_UNSET)
		details_null(d, "limit");
	else
		details_number(d, "limit", limit);
}

static void add_met_limit(
	struct db_tx *tx, struct container *c, enum fault fault, struct details *d, uint64_t new)
{
	add_limit(d, c, fault == FAULT_OOM ? LIMIT_MEMORY : LIMIT_PIDS);
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

static void add(struct db_tx *tx, struct container *c, enum fault fault,
	const struct counters *counters, uint64_t now_boot_usec)
{
	struct fault_report *reported = &c->run.reported;
	uint64_t total = count_of(counters, fault);
	uint64_t new = total - reported->told[fault];
	struct details d;

	details_init(&d);
	details_number(&d, "count", new);
	details_number(&d, "total", total);
	if (fault == FAULT_CALLS)
		add_refused_calls(tx, c, counters, &d, new);
	else
		add_met_limit(tx, c, fault, &d, new);
	reported->told[fault] = total;
	event_pace_take(&reported->pace[fault], now_boot_usec);
}

bool faults_add_events(struct db_tx *tx, struct container *c, const struct counters *counters,
	uint64_t now_boot_usec, bool final)
{
	bool added = false;

	for (enum fault fault = 0; fault < FAULT_N; fault++) {
		if (!rose(c, counters, fault) || !is_due(c, fault, now_boot_usec, final))
			continue;
		add(tx, c, fault, counters, now_boot_usec);
		added = true;
	}
	return added;
}
