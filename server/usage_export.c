/* Steps through entries and open runs; see usage_export.h. Only reads. */
#include "server/usage_export.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

#define ENTRIES_A_STEP 32u /* the loop hashes their records before the next step */
#define LATE_A_STEP    256u
#define CHAINS_A_STEP  64u
#define ROWS_A_RUN     3u /* what a run costs that has no sample, in rows of them */
#define EVERY	       (UINT64_C(1) << 62)

/* --- growing arrays: powers of two --- */

static int grow(void **array, size_t n, size_t size, struct err *err)
{
	void *more;

	if (n & (n - 1) || (n && n < 16))
		return 0;
	more = reallocarray(*array, n ? 2 * n : 16, size);
	if (!more)
		return err_oom(err);
	*array = more;
	return 0;
}

/* In either order each piece is there once: by the last entry's number when the export began. */
static void end_phase(struct export_cursor *cursor)
{
	static const enum export_phase next[][EXPORT_DONE] = {
		{[EXPORT_CLOSED] = EXPORT_OPEN,
			[EXPORT_OPEN] = EXPORT_LATE,
			[EXPORT_LATE] = EXPORT_DONE},
		{[EXPORT_OPEN] = EXPORT_LATE,
			[EXPORT_LATE] = EXPORT_CLOSED,
			[EXPORT_CLOSED] = EXPORT_DONE},
	};

	cursor->phase = next[cursor->closed_last][cursor->phase];
}

static bool is_in_period(const struct export_cursor *cursor, const struct ledger_entry *entry)
{
	return entry->window_start_usec >= cursor->from_wall_usec &&
	       entry->window_start_usec < cursor->to_wall_usec;
}

static int add_item(
	struct export_cursor *cursor, const struct ledger_entry *entry, bool final, struct err *err)
{
	int r;

	if (!is_in_period(cursor, entry))
		return 0;
	r = grow((void **)&cursor->items, cursor->n_items, sizeof(*cursor->items), err);
	if (r == 0)
		cursor->items[cursor->n_items++] = (struct export_item){*entry, final};
	return r;
}

/* --- what is closed --- */

static int take_closed(
	void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	struct export_cursor *cursor = arg;

	(void)hash;
	cursor->after_window_usec = entry->window_start_usec;
	cursor->after_number = entry->number;
	return add_item(cursor, entry, true, err);
}

/* The first one, to begin with. */
static int next_chain(struct db *db, struct export_cursor *cursor, struct err *err)
{
	uint64_t after = cursor->chain.key;
	int r = 0;

	if (!cursor->tenant_uid[0])
		r = ledger_chain_after(db, after, &cursor->chain, err);
	else if (!after)
		r = ledger_chain_of(db, cursor->tenant_uid, &cursor->chain, err);
	else
		cursor->chain.key = 0;
	cursor->after_window_usec = INT64_MIN;
	cursor->after_number = 0;
	if (r == 0 && !cursor->chain.key)
		end_phase(cursor);
	return r;
}

static int step_closed(struct db *db, struct export_cursor *cursor, struct err *err)
{
	struct ledger_period period = {.chain = cursor->chain.key,
		.from_usec = cursor->from_wall_usec,
		.to_usec = cursor->to_wall_usec,
		.after_window_usec = cursor->after_window_usec,
		.after_number = cursor->after_number,
		.last_number = cursor->last_number,
		.limit = ENTRIES_A_STEP};
	size_t before = cursor->n_items;
	int r = ledger_entries_of_period(db, &period, take_closed, cursor, err);

	if (r == 0 && cursor->n_items == before)
		r = next_chain(db, cursor, err);
	return r;
}

/* --- what is open --- */

/* What was closed of a run since the export began. */
static int take_closed_meanwhile(
	void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	(void)hash;
	return add_item(arg, entry, true, err);
}

/*
 * There may be a sample at once, when nothing has been used, nor held for any time. One of the two
 * clocks, which are read one after the other, may show a microsecond then.
 */
static bool is_of_no_time(const struct ledger_entry *entry)
{
	if (entry->from_boot_usec != entry->to_boot_usec &&
		entry->window_start_usec < entry->window_end_usec)
		return false;
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (ledger_entry_has(entry, m) && !ledger_meter_is_max(m) &&
			entry->figures.quantity[m])
			return false;
	return true;
}

/* An open piece, with the revision that it will have. */
static int take_open(struct ledger_walk *walk, const struct ledger_piece *piece,
	const struct ledger_position *next, struct err *err)
{
	struct export_cursor *cursor = walk->arg;
	struct ledger_entry before;
	struct ledger_entry entry;
	int r = ledger_walk_entry(walk, piece, next, &entry, err);

	if (r == 0)
		r = ledger_entries_revision_before(
			walk->db, entry.run, entry.window_start_usec, EVERY, &before, err);
	if (r < 0)
		return r;
	memcpy(entry.host, cursor->host, sizeof(entry.host));
	if (before.number)
		ledger_entry_revise(&entry, &before);
	for (size_t i = 0; i < cursor->n_pieces; i++)
		if (cursor->pieces[i].window_start_usec == entry.window_start_usec)
			ledger_entry_revise(&entry, &cursor->pieces[i]);
	r = grow((void **)&cursor->pieces, cursor->n_pieces, sizeof(entry), err);
	if (r < 0)
		return r;
	cursor->pieces[cursor->n_pieces++] = entry;
	if (is_of_no_time(&entry))
		return 0;
	return add_item(cursor, &entry, walk->run.ended, err);
}

static int take_key(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int next_run(struct db *db, struct export_cursor *cursor, struct err *err)
{
	uint64_t run = 0;
	int r = db_query(db,
		"SELECT o.run FROM ledger_open o JOIN runs r ON r.key = o.run WHERE o.run > ?1"
		" AND (?2 = '' OR r.tenant_uid = ?2) ORDER BY o.run LIMIT 1",
		take_key, &run, err, "us", cursor->after_run, cursor->tenant_uid);

	if (r < 0)
		return r;
	if (!run) {
		end_phase(cursor);
		return 0;
	}
	cursor->after_run = run;
	cursor->n_pieces = 0;
	r = grow((void **)&cursor->runs, cursor->n_runs, sizeof(*cursor->runs), err);
	if (r == 0) {
		cursor->runs[cursor->n_runs++] = run;
		r = ledger_entries_of_run(
			db, run, cursor->last_number, EVERY, take_closed_meanwhile, cursor, err);
	}
	cursor->walk.gap_usec = cursor->gap_usec;
	cursor->walk.take = take_open;
	cursor->walk.arg = cursor;
	if (r == 0)
		r = ledger_walk_open(&cursor->walk, db, run, err);
	cursor->in_run = r == 0;
	return r;
}

static int go_on(struct db *db, struct export_cursor *cursor, size_t *rows, struct err *err)
{
	bool end;
	int r = ledger_walk_step(&cursor->walk, db, rows, &end, err);

	if (r < 0 || !end)
		return r;
	cursor->in_run = false;
	return ledger_walk_end(&cursor->walk, db, err);
}

static int step_open(struct db *db, struct export_cursor *cursor, struct err *err)
{
	size_t rows = LEDGER_STEP_ROWS;
	int r = 0;

	while (r == 0 && cursor->phase == EXPORT_OPEN && rows) {
		r = cursor->in_run ? go_on(db, cursor, &rows, err) : next_run(db, cursor, err);
		rows -= rows < ROWS_A_RUN ? rows : ROWS_A_RUN;
	}
	return r;
}

/* --- runs that were closed to their end before their turn came --- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int take_late(void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	struct export_cursor *cursor = arg;

	(void)hash;
	cursor->late_number = entry->number;
	if (cursor->n_runs &&
		bsearch(&entry->run, cursor->runs, cursor->n_runs, sizeof(*cursor->runs), compare))
		return 0;
	return add_item(cursor, entry, true, err);
}

static int step_late(struct db *db, struct export_cursor *cursor, struct err *err)
{
	struct ledger_chain chain = {.key = 0};
	uint64_t before = cursor->late_number;
	int r = 0;

	if (cursor->tenant_uid[0])
		r = ledger_chain_of(db, cursor->tenant_uid, &chain, err);
	if (r == 0 && (chain.key || !cursor->tenant_uid[0]))
		r = ledger_entries_after(
			db, chain.key, cursor->late_number, LATE_A_STEP, take_late, cursor, err);
	if (r == 0 && cursor->late_number == before)
		end_phase(cursor);
	return r;
}

int export_step(struct db *db, void *arg, struct err *err)
{
	struct export_cursor *cursor = arg;
	int r = 0;

	cursor->n_items = 0;
	if (!cursor->begun) {
		cursor->begun = true;
		r = ledger_entries_last(db, &cursor->last_number, err);
		cursor->late_number = cursor->last_number;
		cursor->phase = cursor->closed_last ? EXPORT_OPEN : EXPORT_CLOSED;
	}
	for (unsigned i = 0;
		r == 0 && i < CHAINS_A_STEP && !cursor->n_items && cursor->phase == EXPORT_CLOSED;
		i++)
		r = step_closed(db, cursor, err);
	if (r == 0 && !cursor->n_items && cursor->phase == EXPORT_OPEN)
		r = step_open(db, cursor, err);
	if (r == 0 && !cursor->n_items && cursor->phase == EXPORT_LATE)
		r = step_late(db, cursor, err);
	return r;
}

void export_cursor_finish(struct export_cursor *cursor)
{
	free(cursor->items);
	free(cursor->pieces);
	free(cursor->runs);
}
