/* Telling of met limits; see faults.h. */
#include "server/faults.h"

#include "server/details.h"
#include "server/events.h"

#include <inttypes.h>

enum fault { FAULT_OOM, FAULT_PIDS };

static bool is_due(const struct container *c, enum fault fault, uint64_t now_boot_usec, bool final)
{
	uint64_t last = c->run.reported.last_boot_usec[fault];

	return final || !last || now_boot_usec - last >= FAULTS_PAUSE_USEC;
}

static bool oom_rose(const struct container *c, const struct counters *counters)
{
	return counters->oom_kills > c->run.reported.oom_kills;
}

static bool pids_rose(const struct container *c, const struct counters *counters)
{
	return counters->pids_denied > c->run.reported.pids_denied;
}

bool faults_pending(
	const struct container *c, const struct counters *counters, uint64_t now_boot_usec)
{
	return (oom_rose(c, counters) && is_due(c, FAULT_OOM, now_boot_usec, false)) ||
	       (pids_rose(c, counters) && is_due(c, FAULT_PIDS, now_boot_usec, false));
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

static void add(struct db_tx *tx, struct container *c, enum fault fault, uint64_t *reported,
	uint64_t total, uint64_t now_boot_usec)
{
	uint64_t new = total - *reported;
	struct details d;

	details_init(&d);
	details_number(&d, "count", new);
	details_number(&d, "total", total);
	add_limit(&d, c, fault == FAULT_OOM ? LIMIT_MEMORY : LIMIT_PIDS);
	if (fault == FAULT_OOM)
		events_add_container(tx, c, c->run.id, "container.oom", details_end(&d),
			"%s/%s met its memory limit: %" PRIu64 " killed", c->tenant->name, c->name,
			new);
	else
		events_add_container(tx, c, c->run.id, "container.pids_denied", details_end(&d),
			"%s/%s met its pids limit: %" PRIu64 " forks refused", c->tenant->name,
			c->name, new);
	*reported = total;
	c->run.reported.last_boot_usec[fault] = now_boot_usec;
}

bool faults_add_events(struct db_tx *tx, struct container *c, const struct counters *counters,
	uint64_t now_boot_usec, bool final)
{
	struct fault_report *reported = &c->run.reported;
	bool added = false;

	if (oom_rose(c, counters) && is_due(c, FAULT_OOM, now_boot_usec, final)) {
		add(tx, c, FAULT_OOM, &reported->oom_kills, counters->oom_kills, now_boot_usec);
		added = true;
	}
	if (pids_rose(c, counters) && is_due(c, FAULT_PIDS, now_boot_usec, final)) {
		add(tx, c, FAULT_PIDS, &reported->pids_denied, counters->pids_denied,
			now_boot_usec);
		added = true;
	}
	return added;
}
