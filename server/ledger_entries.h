/*
 * Entries in the database: written once, with their tenant's chain, and read back. Every function
 * is for the database's thread.
 */
#pragma once

#include "server/ledger_walk.h"

/*
 * Closes a piece: fills in the entry's number, revision, host and time, puts it behind the tenant's
 * chain, and moves the run's open row to `next`. Returns 0 or -errno.
 */
int ledger_entries_add(struct db *db, struct ledger_entry *entry, const char *host,
	const struct ledger_position *next, struct err *err);
/*
 * Puts an operator's correction, whose revision is set, behind the tenant's chain: fills in its
 * number, host and time. actor is who. Returns 0 or -errno.
 */
int ledger_entries_correct(struct db *db, struct ledger_entry *entry, const char *host,
	const char *actor, struct err *err);
/*
 * Puts down that nobody read a run's counters between two of its samples, where it is not on record
 * yet. Returns 0 or -errno.
 */
int ledger_entries_add_gap(struct db *db, uint64_t run_key, const struct usage_point *from,
	const struct usage_point *to, struct err *err);
/* The run is closed to its end. */
int ledger_entries_finish_run(struct db *db, uint64_t run_key, struct err *err);

/* A row of the ledger: hash is that of its last record. Other than 0 ends the query. */
typedef int (*ledger_entry_fn)(
	void *arg, const struct ledger_entry *entry, const char *hash, struct err *err);

/* The entries of a chain from that period, behind (after_window, after_number) and up to `last`. */
struct ledger_period {
	uint64_t chain;
	int64_t from_usec; /* from <= window start < to */
	int64_t to_usec;
	int64_t after_window_usec;
	uint64_t after_number;
	uint64_t last_number;
	uint64_t limit;
};
int ledger_entries_of_period(struct db *db, const struct ledger_period *period, ledger_entry_fn fn,
	void *arg, struct err *err);
/* A chain in its order, behind a number; at most `limit`. */
int ledger_entries_of_chain(struct db *db, uint64_t chain, uint64_t after_number, uint64_t limit,
	ledger_entry_fn fn, void *arg, struct err *err);
/* Those of a run, in order, behind a number. */
int ledger_entries_of_run(struct db *db, uint64_t run_key, uint64_t after_number, uint64_t limit,
	ledger_entry_fn fn, void *arg, struct err *err);
/* The same without operators' corrections: what its samples were cut to. */
int ledger_entries_cut_of_run(struct db *db, uint64_t run_key, uint64_t after_number,
	uint64_t limit, ledger_entry_fn fn, void *arg, struct err *err);
/* All of a run's window before a number, in order, corrections too. */
int ledger_entries_of_window(struct db *db, uint64_t run_key, int64_t window_start_usec,
	uint64_t before_number, ledger_entry_fn fn, void *arg, struct err *err);
/* Those of a chain's hour, of what has that name (a container's or volume's; "": the tenant's own)
 * or, where it is not "", that uid. */
int ledger_entries_of_hour(struct db *db, uint64_t chain, int64_t hour_usec, const char *name,
	const char *uid, ledger_entry_fn fn, void *arg, struct err *err);
/* The last entry of a run's window that was cut, among those before a number. Number 0: none. */
int ledger_entries_revision_before(struct db *db, uint64_t run_key, int64_t window_start_usec,
	uint64_t before_number, struct ledger_entry *ret, struct err *err);
/* The last that was cut of what a run was up to that moment of its boot. Number 0: none. */
int ledger_entries_last_by(struct db *db, uint64_t run_key, uint64_t boot_usec,
	struct ledger_entry *ret, struct err *err);
/* Those behind a number, of a chain or (0) all, in order; at most `limit`. */
int ledger_entries_after(struct db *db, uint64_t chain, uint64_t after_number, uint64_t limit,
	ledger_entry_fn fn, void *arg, struct err *err);
/* The last number given; 0: none. */
int ledger_entries_last(struct db *db, uint64_t *ret, struct err *err);

struct ledger_chain {
	uint64_t key; /* 0: there is none */
	char tenant_uid[UID_SIZE];
	uint64_t records;
	char head[LEDGER_HASH_SIZE];
};
/* A tenant's chain; and the next one behind a key. */
int ledger_chain_of(
	struct db *db, const char *tenant_uid, struct ledger_chain *ret, struct err *err);
int ledger_chain_after(
	struct db *db, uint64_t after_key, struct ledger_chain *ret, struct err *err);
