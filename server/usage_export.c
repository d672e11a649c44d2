/* Steps through runs and samples; see usage_export.h. Only reads. */
#include "server/usage_export.h"

#include <string.h>

struct rows {
	struct export_cursor *cursor;
	struct usage_point point; /* being put together: one row a counter */
	size_t n;
	bool has_point;
};

static int take_run(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct export_run *run = arg;

	(void)err;
	run->key = db_column_u64(row, 0);
	db_column_text(row, 1, run->id, sizeof(run->id));
	db_column_text(row, 2, run->tenant_uid, sizeof(run->tenant_uid));
	db_column_text(row, 3, run->tenant, sizeof(run->tenant));
	db_column_text(row, 4, run->account_ref, sizeof(run->account_ref));
	db_column_text(row, 5, run->container_uid, sizeof(run->container_uid));
	db_column_text(row, 6, run->container, sizeof(run->container));
	db_column_text(row, 7, run->boot_id, sizeof(run->boot_id));
	run->start.boot_usec = db_column_u64(row, 8);
	run->start.wall_usec = sqlite3_column_int64(row, 9);
	run->ended = sqlite3_column_int64(row, 10);
	return 0;
}

static int take_base(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct counters *counters = arg;

	(void)err;
	counters->has_net |= usage_counter_set(
		counters, sqlite3_column_int(row, 0), db_column_u64(row, 1));
	return 0;
}

/* The next run that may have a sample in the period. */
static int next_run(struct db *db, struct export_cursor *cursor, struct err *err)
{
	struct export_run *run = &cursor->run;
	int r;

	memset(run, 0, sizeof(*run));
	cursor->after_sequence = 0;
	r = db_query(db,
		"SELECT key, id, tenant_uid, tenant, account_ref, container_uid, container, "
		"boot_id,"
		" start_boot, start_wall, end_wall FROM runs WHERE key > ?1 AND container_uid != ''"
		" AND start_wall < ?2 AND (end_wall IS NULL OR end_wall >= ?3)"
		" AND (?4 = '' OR tenant_uid = ?4) ORDER BY key LIMIT 1",
		take_run, run, err, "uiis", cursor->after_key, cursor->to_wall_usec,
		cursor->from_wall_usec, cursor->tenant_uid);
	if (r < 0)
		return r;
	if (!run->key) {
		cursor->done = true;
		return 0;
	}
	/* Where its traffic's counters began; see store_base(). */
	r = db_query(db, "SELECT meter, value FROM samples WHERE run = ?1 AND sequence = 0",
		take_base, &run->start.counters, err, "u", run->key);
	if (r < 0)
		return r;
	cursor->after_key = run->key;
	usage_window_init(&run->window, cursor->from_wall_usec, cursor->to_wall_usec,
		cursor->gap_usec, &run->start);
	return 0;
}

static void close_point(struct rows *rows)
{
	struct export_cursor *cursor = rows->cursor;

	if (!rows->has_point)
		return;
	usage_window_add(&cursor->run.window, &rows->point);
	cursor->after_sequence = rows->point.sequence;
	rows->has_point = false;
}

static int take_sample(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct rows *rows = arg;
	uint64_t sequence = db_column_u64(row, 0);

	(void)err;
	if (rows->has_point && rows->point.sequence != sequence)
		close_point(rows);
	if (!rows->has_point) {
		memset(&rows->point, 0, sizeof(rows->point));
		rows->point.sequence = sequence;
		rows->point.boot_usec = db_column_u64(row, 2);
		rows->point.wall_usec = sqlite3_column_int64(row, 3);
		rows->has_point = true;
	}
	usage_counter_set(&rows->point.counters, sqlite3_column_int(row, 1), db_column_u64(row, 4));
	rows->point.counters.has_net |= sqlite3_column_int(row, 1) == USAGE_NET_FIRST;
	rows->n++;
	return 0;
}

/* Adds a bounded number of samples. *ret_end: the run has no more. */
static int add_samples(struct db *db, struct export_cursor *cursor, bool *ret_end,
	size_t *rows_left, struct err *err)
{
	/* Whole samples: the limit counts sequences, not rows. */
	uint64_t limit = *rows_left / USAGE_COUNTERS + 1;
	struct rows rows = {.cursor = cursor};
	uint64_t before = cursor->after_sequence;
	int r = db_query(db,
		"SELECT sequence, meter, boot, wall, value FROM samples WHERE run = ?1 AND"
		" sequence > ?2 AND sequence <= ?2 + ?3 ORDER BY sequence",
		take_sample, &rows, err, "uuu", cursor->run.key, before, limit);

	if (r < 0)
		return r;
	close_point(&rows);
	*rows_left -= rows.n < *rows_left ? rows.n : *rows_left;
	/* Sequences have holes only where a sweep's commit failed. */
	*ret_end = !rows.n;
	return 0;
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

/* The first sequence after the present one; 0: none. */
static int has_later(
	struct db *db, const struct export_cursor *cursor, uint64_t *ret_next, struct err *err)
{
	*ret_next = 0;
	return db_query(db,
		"SELECT coalesce(min(sequence), 0) FROM samples WHERE run = ?1 AND sequence > ?2",
		take_number, ret_next, err, "uu", cursor->run.key, cursor->after_sequence);
}

static void finish_run(struct export_cursor *cursor)
{
	struct export_run *run = &cursor->run;
	const struct usage_window *w = &run->window;

	run->complete = run->ended && cursor->after_sequence == w->end.sequence;
	if (w->samples)
		cursor->runs[cursor->n_runs++] = *run;
	run->key = 0;
}

/* Goes on with the present run. */
static int go_on(struct db *db, struct export_cursor *cursor, size_t *rows_left, struct err *err)
{
	uint64_t next;
	bool end;
	int r = add_samples(db, cursor, &end, rows_left, err);

	if (r < 0 || !end)
		return r;
	r = has_later(db, cursor, &next, err);
	if (r < 0)
		return r;
	if (next)
		cursor->after_sequence = next - 1;
	else
		finish_run(cursor);
	return 0;
}

int export_step(struct db *db, struct export_cursor *cursor, struct err *err)
{
	size_t rows_left = EXPORT_ROWS_PER_STEP;
	int r = 0;

	cursor->n_runs = 0;
	/* A run without a sample costs a row as well, so that many of them end a step too. */
	while (r == 0 && !cursor->done && rows_left && cursor->n_runs < EXPORT_RUNS_PER_STEP) {
		r = cursor->run.key ? go_on(db, cursor, &rows_left, err)
				    : next_run(db, cursor, err);
		rows_left -= rows_left > 0;
	}
	return r;
}
