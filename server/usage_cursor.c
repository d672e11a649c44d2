/* Cursors of closed usage; see usage_cursor.h. Must never pass an entry that was not shown. */
#include "server/usage_cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_LEN (USAGE_CURSOR_HASH_SIZE - 1)

static int bad_cursor(struct err *err)
{
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "CURSOR_INVALID", "after",
		"that is not a cursor; use one as it was given, or none to begin with the first "
		"record");
}

int usage_cursor_parse(const char *text, struct usage_cursor *ret, struct err *err)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t number;

	memset(ret, 0, sizeof(*ret));
	if (!*text)
		return 0;
	errno = 0;
	number = strtoull(text, NULL, 10);
	if (!digits || digits > 19 || text[0] == '0' || errno || number > INT64_MAX ||
		text[digits] != '-' || strlen(text + digits + 1) != HASH_LEN ||
		strspn(text + digits + 1, "0123456789abcdef") != HASH_LEN)
		return bad_cursor(err);
	ret->number = number;
	memcpy(ret->hash, text + digits + 1, sizeof(ret->hash));
	return 0;
}

const char *usage_cursor_format(
	uint64_t number, const char *hash, char out[static USAGE_CURSOR_SIZE])
{
	snprintf(out, USAGE_CURSOR_SIZE, "%" PRIu64 "-%.*s", number, (int)HASH_LEN, hash);
	return out;
}

static int take_hash(void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	struct usage_cursor *found = arg;

	(void)err;
	found->number = entry->number;
	snprintf(found->hash, sizeof(found->hash), "%.*s", (int)HASH_LEN, hash);
	return 0;
}

static int begin(struct db *db, struct usage_closed *closed, struct err *err)
{
	struct usage_cursor found = {.number = 0};
	int r = ledger_entries_last(db, &closed->last_number, err);

	closed->begun = true;
	if (r < 0 || !closed->cursor.number)
		return r;
	r = ledger_entries_after(db, 0, closed->cursor.number - 1, 1, take_hash, &found, err);
	if (r < 0)
		return r;
	if (found.number != closed->cursor.number || strcmp(found.hash, closed->cursor.hash) != 0)
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "CURSOR_UNKNOWN", "after",
			"this ledger never gave that cursor: it is another's, or was restored from "
			"a "
			"backup; begin without one, and drop records whose record_id is known");
	return 0;
}

static int take_entry(
	void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	struct usage_closed *closed = arg;

	(void)err;
	if (entry->number > closed->last_number)
		return 0;
	closed->entries[closed->n_entries] = *entry;
	snprintf(closed->hashes[closed->n_entries++], USAGE_CURSOR_HASH_SIZE, "%.*s", (int)HASH_LEN,
		hash);
	closed->cursor.number = entry->number;
	return 0;
}

int usage_closed_step(struct db *db, void *arg, struct err *err)
{
	struct usage_closed *closed = arg;
	int r = closed->begun ? 0 : begin(db, closed, err);

	closed->n_entries = 0;
	if (r == 0)
		r = ledger_entries_after(db, 0, closed->cursor.number, USAGE_CURSOR_ENTRIES,
			take_entry, closed, err);
	closed->done = r == 0 && !closed->n_entries;
	return r;
}
