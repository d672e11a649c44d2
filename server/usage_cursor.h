/*
 * Reading what was closed behind a cursor, in steps on the database's thread. A cursor is an
 * entry's number and the hash of its last record, so that one of another ledger, or of a state
 * before a backup was restored, is noticed: its number may stand for something else there.
 */
#pragma once

#include "server/ledger_entries.h"

#define USAGE_CURSOR_HASH_SIZE 17 /* 64 bits are enough to tell by mistake from another */
#define USAGE_CURSOR_SIZE      40
#define USAGE_CURSOR_ENTRIES   32u /* a step: the loop hashes their records before the next */

struct usage_cursor {
	uint64_t number; /* 0: before the first */
	char hash[USAGE_CURSOR_HASH_SIZE];
};

struct usage_closed {
	/* Set by the caller. */
	struct usage_cursor cursor;
	/* Where it stands. */
	bool begun;
	bool done;
	uint64_t last_number; /* the last entry when it began */
	/* The result of a step: the cursor has passed them. */
	struct ledger_entry entries[USAGE_CURSOR_ENTRIES];
	char hashes[USAGE_CURSOR_ENTRIES][USAGE_CURSOR_HASH_SIZE];
	size_t n_entries;
};

/* Reads a cursor's text; "" is before the first. Returns 0 or -EINVAL. */
int usage_cursor_parse(const char *text, struct usage_cursor *ret, struct err *err);
/* Writes a cursor's text. Returns out. */
const char *usage_cursor_format(
	uint64_t number, const char *hash, char out[static USAGE_CURSOR_SIZE]);

/*
 * One step, for db_read(); arg is a struct usage_closed. Returns 0, with entries filled, none when
 * done; -EINVAL when the cursor is not of this ledger.
 */
int usage_closed_step(struct db *db, void *arg, struct err *err);
