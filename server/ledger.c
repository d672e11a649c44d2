/* One sample's way into the ledger and the totals; see ledger.h. */
#include "server/ledger.h"

#include "server/abuse.h"
#include "server/details.h"
#include "server/events.h"
#include "server/faults.h"
#include "server/pressure.h"
#include "server/sessions.h"
#include "server/store.h"

#define LEDGER_CHANGES_PERIOD_USEC (UINT64_C(3600) * 1000000)

uint64_t ledger_gap_usec(const struct server *server)
{
	return LEDGER_GAP_INTERVALS * server->config->sample_interval_ms * 1000 + 1000000;
}

void ledger_add_totals(struct db_tx *tx, const struct container *c)
{
	store_totals(tx, c->uid, &c->totals);
	store_totals(tx, c->tenant->uid, &c->tenant->totals);
}

int ledger_count_change(struct container *c, const struct limits *after, struct err *err)
{
	uint64_t now = clock_boot_usec();

	if (limits_equal(&c->limits, after))
		return 0;
	if (!c->changes || now - c->changes_boot_usec > LEDGER_CHANGES_PERIOD_USEC) {
		c->changes_boot_usec = now;
		c->changes = 0;
	}
	if (c->changes >= LEDGER_CHANGES_AN_HOUR)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "CHANGES_TOO_OFTEN",
			"the limits of %s/%s were changed %u times within an hour; try again later",
			c->tenant->name, c->name, LEDGER_CHANGES_AN_HOUR);
	c->changes++;
	return 0;
}

/* Whether the last sample is not known to be durable. A final one is, once the end is over. */
static bool is_underway(const struct run *run, bool ending, uint64_t swept)
{
	if (!run->unsure.sequence)
		return false;
	return run->unsure.sweep == LEDGER_FINAL ? ending : run->unsure.sweep > swept;
}

void ledger_committed(const struct container *c, uint64_t swept, struct usage_totals *ret)
{
	*ret = c->totals;
	if (is_underway(&c->run, c->end_pending, swept))
		usage_totals_subtract(ret, &c->run.underway);
}

void ledger_committed_of_tenant(const struct tenant *t, uint64_t swept, struct usage_totals *ret)
{
	struct usage_totals own = t->own_totals;
	struct map_node *node;

	*ret = t->totals;
	MAP_FOREACH(node, &t->containers)
	{
		const struct container *c = map_object(node, struct container, by_name);

		if (is_underway(&c->run, c->end_pending, swept))
			usage_totals_subtract(ret, &c->run.underway);
	}
	if (is_underway(&t->own, false, swept))
		usage_totals_subtract(&own, &t->own.unsure.delta);
	usage_totals_take_own(ret, &own);
}

static void add_point(struct db_tx *tx, struct run *run, const struct usage_point *point,
	const struct usage_totals *delta, uint64_t sweep)
{
	store_sample(tx, run, point);
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
	usage_totals_subtract(&c->run.underway, &c->run.unsure.delta);
	usage_totals_subtract(&c->tenant->totals, &c->run.unsure.delta);
}

void ledger_take_back_own(struct tenant *t, uint64_t sweep)
{
	if (take_back(&t->own, sweep))
		usage_totals_subtract(&t->own_totals, &t->own.unsure.delta);
}

/* Behind the first sample there is no row yet, either. */
void ledger_take_back_work(struct tenant *t, uint64_t sweep)
{
	if (take_back(&t->work, sweep) && !t->work.last.sequence)
		t->work.key = 0;
}

/* By the sequence of the sample: both sides of the fall are in the ledger. */
static void detail_sequence(struct details *d, const struct usage_point *point)
{
	details_init(d);
	details_number(d, "sequence", point->sequence);
}

static void add_fell_event(
	struct db_tx *tx, const struct container *c, const struct usage_point *point)
{
	struct details d;

	detail_sequence(&d, point);
	events_add_container(tx, c, c->run.id, "usage.counter_fell", details_end(&d),
		"a counter of %s/%s fell; nothing is counted for that interval", c->tenant->name,
		c->name);
}

static void add_tenant_fell_event(
	struct db_tx *tx, const struct tenant *t, const char *what, const struct usage_point *point)
{
	struct details d;

	detail_sequence(&d, point);
	events_add_tenant(tx, t, "usage.counter_fell", details_end(&d),
		"a counter of %s %s fell; nothing is counted for that interval", what, t->name);
}

/* What the sample says of limits; and that it was told, so that a restart does not say it again. */
static void tell_limits(struct server *server, struct db_tx *tx, struct tenant *t,
	struct container *c, struct run *run, bool final)
{
	const struct usage_point *before = &run->unsure.before;
	bool told = c ? faults_add_events(tx, c, &run->last.counters, run->last.boot_usec, final)
		      : faults_add_tenant_events(tx, t, final);

	if (c)
		sessions_add_events(tx, c, run->last.boot_usec, final);

	/* Of a gap nobody knows how it was in between, and of what has ended how it goes on. */
	if (!final && run->last.boot_usec - before->boot_usec <= ledger_gap_usec(server))
		told |= pressure_add_events(
			tx, t, c, run, before, server->config->sample_interval_ms * 1000);
	if (told)
		store_reported(tx, run);
}

void ledger_add_sample(struct server *server, struct db_tx *tx, struct container *c,
	const struct usage_point *point, uint64_t sweep)
{
	struct usage_totals delta = {0};
	unsigned flags = usage_add(&delta, &c->run.last, point, ledger_gap_usec(server));

	abuse_take(server, c, &c->run.last, point);
	if (flags & USAGE_COUNTER_FELL)
		add_fell_event(tx, c, point);
	if (!c->run.last.sequence)
		delta.runs = 1;
	/* An end may come while a sweep is being committed: then both are on their way. */
	if (!is_underway(&c->run, c->end_pending, server->swept))
		c->run.underway = (struct usage_totals){0};
	usage_totals_merge(&c->run.underway, &delta);
	usage_totals_merge(&c->totals, &delta);
	usage_totals_merge(&c->tenant->totals, &delta);
	add_point(tx, &c->run, point, &delta, sweep);
	tell_limits(server, tx, c->tenant, c, &c->run, sweep == LEDGER_FINAL);
}

void ledger_add_own_sample(struct server *server, struct db_tx *tx, struct tenant *t,
	const struct usage_point *point, uint64_t sweep)
{
	struct usage_totals delta = {0};
	char uid[OWN_UID_SIZE];

	if (usage_add(&delta, &t->own.last, point, ledger_gap_usec(server)) & USAGE_COUNTER_FELL)
		add_tenant_fell_event(tx, t, "the directory of tenant", point);
	abuse_take_own(server, t, &t->own.last, point);
	usage_totals_merge(&t->own_totals, &delta);
	add_point(tx, &t->own, point, &delta, sweep);
	tell_limits(server, tx, t, NULL, &t->own, sweep == LEDGER_FINAL);
	store_totals(tx, store_own_uid(t, uid), &t->own_totals);
}

void ledger_add_work_sample(
	struct db_tx *tx, struct tenant *t, const struct usage_point *point, uint64_t sweep)
{
	static const struct usage_totals none;
	struct usage_totals delta = none;

	if (usage_add(&delta, &t->work.last, point, 0) & USAGE_COUNTER_FELL)
		add_tenant_fell_event(tx, t, "the work outside containers for tenant", point);
	add_point(tx, &t->work, point, &none, sweep);
}
