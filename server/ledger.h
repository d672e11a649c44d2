/* Writing samples: what the sweep, the final read and a lost run have in common. */
#pragma once

#include "server/server.h"

/* An interval longer than this many sampling intervals is a gap. */
#define LEDGER_GAP_INTERVALS 3

uint64_t ledger_gap_usec(const struct server *server);

/*
 * Adds a sample of a container's run to a transaction: the sample, its effect on the totals of
 * container and tenant, events of a counter that fell and of met limits.
 * The run's last point becomes this one. sweep is the sweep's number, or LEDGER_FINAL.
 */
#define LEDGER_FINAL 0
void ledger_add_sample(struct server *server, struct db_tx *tx, struct container *container,
	const struct usage_point *point, uint64_t sweep);
/* The same for a tenant's own directory. */
void ledger_add_own_sample(struct server *server, struct db_tx *tx, struct tenant *tenant,
	const struct usage_point *point, uint64_t sweep);
/* The same of a tenant's work outside its containers, which is in no totals. */
void ledger_add_work_sample(
	struct db_tx *tx, struct tenant *tenant, const struct usage_point *point, uint64_t sweep);
/*
 * The transaction of that sweep failed: what its sample changed in memory is as it was, so that the
 * next one spans both intervals, in memory as in the ledger. Nothing when there was a later sample.
 */
void ledger_take_back(struct container *container, uint64_t sweep);
void ledger_take_back_own(struct tenant *tenant, uint64_t sweep);
void ledger_take_back_work(struct tenant *tenant, uint64_t sweep);
/*
 * Each change of what a container is allowed to have begins a window of its own, with records that
 * are kept for ever: a tenant's user may make so many within an hour.
 */
#define LEDGER_CHANGES_AN_HOUR 60
/*
 * Counts one that is asked for now; none where after is what the container has. Returns 0 or
 * RESOURCE_EXHAUSTED / CHANGES_TOO_OFTEN.
 */
int ledger_count_change(struct container *container, const struct limits *after, struct err *err);
/*
 * What is committed of the totals: what a croftd that begins anew would know. They never fall,
 * whoever is killed. swept is the number of the last sweep that was committed.
 */
void ledger_committed(const struct container *container, uint64_t swept, struct usage_totals *ret);
void ledger_committed_of_tenant(
	const struct tenant *tenant, uint64_t swept, struct usage_totals *ret);
/* Adds the rows of both totals of a container. */
void ledger_add_totals(struct db_tx *tx, const struct container *container);
