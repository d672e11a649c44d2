/*
 * Retention: samples of what has been closed for long are deleted. Entries, and so records, their
 * hashes and every total, stay; what verification can then no longer recompute is on record. In
 * steps of bounded work on the database's thread, each a transaction.
 */
#pragma once

#include "server/ledger_entries.h"

struct ledger_pruner {
	/* Set by the caller; all else is 0. */
	int64_t before_usec; /* samples of windows that ended by then */
	/* Where it stands. */
	uint64_t after_run; /* the present one, or the last */
	bool in_run;
	struct ledger_entry last; /* of the run: before its end samples go */
	bool whole;		  /* nothing of the run is left to be cut */
	uint64_t first_sequence;  /* of what is left to be deleted */
	uint64_t samples;	  /* rows that were deleted */
	bool done;
};

/* One step, for db_change(); arg is the pruner. When it fails, the pruner is of no more use. */
int ledger_prune_step(struct db *db, void *arg, struct err *err);
