/*
 * Reading the ledger for an export, in steps of bounded work on the database's thread, so that
 * commits are not held up by a long history: what is closed, then what is open, cut as closing
 * will.
 *
 * Hours are closed meanwhile. Each piece is exported once: as an entry when that was closed before
 * the export began, or before its run's turn came; else as what it will be.
 */
#pragma once

#include "server/ledger_entries.h"

struct export_item {
	struct ledger_entry entry;
	bool final;
};

/* What is closed, what is open, and what was closed since the export began, before its turn. */
enum export_phase { EXPORT_CLOSED, EXPORT_OPEN, EXPORT_LATE, EXPORT_DONE };

struct export_cursor {
	/* Set by the caller. */
	int64_t from_wall_usec; /* from <= start of the window < to */
	int64_t to_wall_usec;
	uint64_t gap_usec;
	char tenant_uid[UID_SIZE]; /* "": all */
	char host[LEDGER_HOST_SIZE];
	bool closed_last; /* what is closed comes last, and a tenant's at once */
	/* Where it stands. */
	enum export_phase phase;
	bool begun;
	uint64_t last_number; /* the last entry when it began */
	struct ledger_chain chain;
	int64_t after_window_usec;
	uint64_t after_number;
	uint64_t after_run;
	bool in_run;
	struct ledger_walk walk;
	struct ledger_entry *pieces; /* owned: what is open of the present run */
	size_t n_pieces;
	uint64_t *runs; /* owned: those that were open, in order */
	size_t n_runs;
	uint64_t late_number; /* the last entry that was looked at for being late */
	/* The result of a step; owned. */
	struct export_item *items;
	size_t n_items;
};

/* One step, for db_read(); arg is the cursor. Returns 0, with items filled, and the phase at the
 * end. */
int export_step(struct db *db, void *arg, struct err *err);
void export_cursor_finish(struct export_cursor *cursor);
