/* Writing samples: what the sweep, the final read and a lost run have in common. */
#pragma once

#include "server/server.h"

/* An interval longer than this many sampling intervals is a gap. */
#define LEDGER_GAP_INTERVALS 3

uint64_t ledger_gap_usec(const struct server *server);

/*
 * Adds a sample of a container's run to a transaction: the sample, its effect on the totals of
 * container and tenant, a gap where there is one, events of a counter that fell and of met limits.
 * The run's last point becomes this one.
 */
void ledger_add_sample(struct server *server, struct db_tx *tx, struct container *container,
	const struct usage_point *point, bool final);
/* The same for a tenant's own directory. */
void ledger_add_own_sample(struct server *server, struct db_tx *tx, struct tenant *tenant,
	const struct usage_point *point);
/* Adds the rows of both totals of a container. */
void ledger_add_totals(struct db_tx *tx, const struct container *container);
