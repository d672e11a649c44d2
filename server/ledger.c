/* One sample's way into the ledger and the totals; see ledger.h. */
#include "server/ledger.h"

#include "server/details.h"
#include "server/events.h"
#include "server/faults.h"
#include "server/store.h"

uint64_t ledger_gap_usec(const struct server *server)
{
	return LEDGER_GAP_INTERVALS * server->config->sample_interval_ms * 1000 + 1000000;
}

void ledger_add_totals(struct db_tx *tx, const struct container *c)
{
	store_totals(tx, c->uid, &c->totals);
	store_totals(tx, c->tenant->uid, &c->tenant->totals);
}

static void add_point(struct db_tx *tx, struct run *run, const struct usage_point *point,
	unsigned flags, const struct usage_totals *delta, uint64_t sweep)
{
	store_sample(tx, run, point);
	if (flags & USAGE_GAP)
		store_gap(tx, run, "not sampled", &run->last, point);
	run->unsure = (struct unsure_sample){.sequence = point->sequence,
		.sweep = sweep,
		.before = run->last,
		.delta = *delta,
		.reported = run->reported};
	run->last = *point;
	usage_carry(&run->last, &run->unsure.before);
}

/* True when the run's last sample is of that sweep, and nothing was built on it. */
static bool take_back(struct run *run, uint64_t sweep)
{
	struct unsure_sample *unsure = &run->unsure;

	if (!unsure->sequence || unsure->sweep != sweep || run->last.sequence != unsure->sequence)
		return false;
	run->last = unsure->before;
	run->reported = unsure->reported;
	unsure->sequence = 0;
	return true;
}

void ledger_take_back(struct container *c, uint64_t sweep)
{
	if (!take_back(&c->run, sweep))
		return;
	usage_totals_subtract(&c->totals, &c->run.unsure.delta);
	usage_totals_subtract(&c->tenant->totals, &c->run.unsure.delta);
}

void ledger_take_back_own(struct tenant *t, uint64_t sweep)
{
	if (take_back(&t->own, sweep))
		usage_totals_subtract(&t->own_totals, &t->own.unsure.delta);
}

/* By the sequence of the sample: both sides of the fall are in the ledger. */
static void add_fell_event(
	struct db_tx *tx, const struct container *c, const struct usage_point *point)
{
	struct details d;

	details_init(&d);
	details_number(&d, "sequence", point->sequence);
	events_add_container(tx, c, c->run.id, "usage.counter_fell", details_end(&d),
		"a counter of %s/%s fell; nothing is counted for that interval", c->tenant->name,
		c->name);
}

void ledger_add_sample(struct server *server, struct db_tx *tx, struct container *c,
	const struct usage_point *point, uint64_t sweep)
{
	struct usage_totals delta = {0};
	unsigned flags = usage_add(&delta, &c->run.last, point, ledger_gap_usec(server));

	if (flags & USAGE_COUNTER_FELL)
		add_fell_event(tx, c, point);
	if (!c->run.last.sequence)
		delta.runs = 1;
	usage_totals_merge(&c->totals, &delta);
	usage_totals_merge(&c->tenant->totals, &delta);
	add_point(tx, &c->run, point, flags, &delta, sweep);
	faults_add_events(tx, c, &point->counters, point->boot_usec, sweep == LEDGER_FINAL);
}

void ledger_add_own_sample(struct server *server, struct db_tx *tx, struct tenant *t,
	const struct usage_point *point, uint64_t sweep)
{
	struct usage_totals delta = {0};
	unsigned flags = usage_add(&delta, &t->own.last, point, ledger_gap_usec(server));
	char uid[OWN_UID_SIZE];

	usage_totals_merge(&t->own_totals, &delta);
	add_point(tx, &t->own, point, flags, &delta, sweep);
	store_totals(tx, store_own_uid(t, uid), &t->own_totals);
}
