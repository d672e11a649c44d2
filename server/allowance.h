/*
 * Traffic allowances: what a tenant may exchange with outside in a month. A period rests on the
 * tenant's totals (the ledger's), of which it remembers what they were when it began: what is used
 * is the difference, so that nothing is counted twice or lost, whatever dies. Events tell at 80, 90
 * and 100 percent, once each; at 100 its network is slowed where limits say so (cores.h fills that
 * into what the supervisor is told), and no longer when the period ends or the limits are raised.
 */
#pragma once

#include "server/server.h"

/* The first period of a new tenant, in the transaction that makes it. */
void allowance_begin(struct db_tx *tx, struct tenant *tenant);
/*
 * Sees whether a tenant's period is over, and how much it has used: after a sweep, and when its
 * limits or its day have changed. What cannot be committed now is done at the next look.
 */
void allowance_look(struct server *server, struct tenant *tenant);
void allowance_look_all(struct server *server);
