/*
 * What is done for a tenant outside its containers (imports, exports, copies), in its leaf _croft:
 * metered as the tenant's own, so that its containers and this are what its directory counted.
 *
 * It has a row like a run's from the first work on, for as long as the leaf is there. One that
 * never worked has none. Every function may be called of a tenant without a leaf.
 */
#pragma once

#include "server/server.h"

/* Takes up the leaf in a tenant's counter directories, which stay the caller's. */
void work_adopt(struct server *server, struct tenant *tenant, const int *dirs, size_t n_dirs);
/*
 * Puts a sample, where it worked since the last one, or that is some sweeps ago. Returns whether it
 * did. What could not be committed is taken back by ledger_take_back_work().
 */
bool work_sample(struct server *server, struct db_tx *tx, struct tenant *tenant, uint64_t sweep);
/* Ends the record of it. */
void work_end(struct db_tx *tx, struct tenant *tenant);
