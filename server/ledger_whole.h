/*
 * Proving a tenant's parts against the whole: its containers, and its work outside them, cannot
 * have used more CPU time than its directory had counted by then, which the kernel adds up by
 * itself. In steps of bounded work on the database's thread.
 */
#pragma once

#include "server/ledger_entries.h"

struct ledger_whole {
	/* Set by the caller; all else is 0. */
	char tenant_uid[UID_SIZE];
	/* Where it stands. */
	uint64_t after_own; /* the present run of the directory, or the last */
	bool in_own;
	uint64_t after_run; /* the last that was added */
	uint64_t start_boot_usec;
	char boot_id[BOOT_ID_LEN];
	/* The result, of the present one; complete when a step says so. */
	uint64_t read_boot_usec; /* when it was last read */
	uint64_t counted_usec;	 /* what it had counted by then */
	unsigned __int128 parts_usec;
};

/*
 * Goes on by at most *rows runs, which are taken from it. *ret_complete: the present directory's
 * parts are all added up; *ret_end: there are no more directories. Returns 0 or -errno.
 */
int ledger_whole_step(struct ledger_whole *whole, struct db *db, size_t *rows, bool *ret_complete,
	bool *ret_end, struct err *err);
