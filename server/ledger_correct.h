/*
 * An operator's correction of a closed hour: an entry of one meter behind the tenant's chain, which
 * names the record that it corrects and is added to it. Nothing that is on record is changed.
 * On the database's thread, in the transaction of whoever asks.
 */
#pragma once

#include "server/ledger_entries.h"

/* An amount has at most so many digits: what many of them add up to fits 128 bits. */
#define LEDGER_AMOUNT_DIGITS_MAX 30

struct ledger_correction {
	/* Set by the caller; all else is 0. */
	char tenant_uid[UID_SIZE];
	char resource[RESOURCE_SIZE]; /* as the record has it; with a uid only for messages */
	char name[NAME_SIZE];	      /* the container's; "": the tenant's own */
	char uid[UID_SIZE];	      /* "": whatever has the name */
	size_t meter;
	int64_t hour_usec; /* its start */
	bool negative;
	unsigned __int128 amount;
	char record_id[HASH_SIZE]; /* "": the hour has one record of the meter */
	char reason[LEDGER_NOTE_MAX + 1];
	char actor[ACTOR_SIZE];
	char host[LEDGER_HOST_SIZE];
	/* The result. */
	struct ledger_entry entry;
	unsigned windows; /* that were found */
};

/* A meter that can be corrected. Returns 0 or -EINVAL. */
int ledger_correction_meter(const char *name, size_t *ret, struct err *err);
/* "-500": not 0, not longer than LEDGER_AMOUNT_DIGITS_MAX. Returns 0 or -EINVAL. */
int ledger_correction_amount(
	const char *text, bool *ret_negative, unsigned __int128 *ret, struct err *err);

/*
 * Finds the record and puts the correction behind the chain. Returns 0 with c->entry filled, or:
 * FAILED_PRECONDITION where the hour is not closed, or has no such record, or several; OUT_OF_RANGE
 * where less than nothing would be left.
 */
int ledger_correct(struct db *db, struct ledger_correction *c, struct err *err);

/*
 * Whether a correction names a record that there was before it, of its run, window and meter, of
 * which it leaves something. Returns 0 with *ret_problem NULL or what is wrong, or -errno.
 */
int ledger_correction_check(
	struct db *db, const struct ledger_entry *entry, const char **ret_problem, struct err *err);
