/*
 * Whether the host's wall clock was set: an event and a row of clock_steps, as labels of samples
 * jump there. Time within a run is BOOTTIME, and what is billed is not affected.
 *
 * Each look is compared to the last one, which is on record: so a croftd that begins anew finds
 * what happened while there was none. Not across a boot of the host: BOOTTIME begins anew with it,
 * and nobody can say how long the host was down.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct db;
struct db_tx;

/* Both clocks at one moment; boot_usec 0: at none. */
struct clock_look {
	uint64_t boot_usec;
	int64_t wall_usec;
};

/* Begins as 0. */
struct clock_watch {
	struct clock_look last;
	struct clock_look step; /* behind one whose transaction is under way */
};

/*
 * Takes up the last look that is on record, if it was on this boot. Before the database's thread
 * has started. Returns 0 or -errno.
 */
int clock_watch_load(
	struct clock_watch *watch, struct db *db, const char *boot_id, struct err *err);
/*
 * Puts a look into a transaction, and a step with it where the clock was set since the last one.
 * True: there is one. Then the transaction has to be committed, its outcome told to
 * clock_watch_end(), and until that looks do nothing, as it is not known whether the step is on
 * record.
 */
bool clock_watch_look(struct clock_watch *watch, struct db_tx *tx, const char *boot_id,
	const struct clock_look *now);
/* What was not committed is found again by the next look. */
void clock_watch_end(struct clock_watch *watch, bool committed);
