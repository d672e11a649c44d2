/* Steps of closing; see ledger_close.h. Must never write an hour that goes on. */
#include "server/ledger_close.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>

/* What an entry costs, in rows of samples that are read: so that many of them end a step too. */
#define ROWS_A_TURN 8

static int take_due(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct ledger_closer *closer = arg;

	(void)err;
	closer->after_end_usec = sqlite3_column_int64(row, 0);
	closer->after_run = db_column_u64(row, 1);
	closer->in_run = true;
	return 0;
}

/* Behind that no hour ends that is of the present. */
static int64_t present_end(const struct ledger_closer *closer)
{
	int64_t span = LEDGER_GRACE_USEC + LEDGER_HOUR_USEC;

	return closer->due_usec > INT64_MAX - span ? INT64_MAX : closer->due_usec + span;
}

/*
 * There may be more of an hour that is not due. Of one that the present clock has not come to there
 * is none: it was begun by a clock that was ahead, and has been set back since.
 */
static bool is_open(const struct ledger_closer *closer, int64_t hour_end_usec)
{
	return hour_end_usec > closer->due_usec && hour_end_usec <= present_end(closer);
}

/* -ECANCELED ends the run's turn: its next hour is not due. */
static int take(struct ledger_walk *walk, const struct ledger_piece *piece,
	const struct ledger_position *next, struct err *err)
{
	struct ledger_closer *closer = walk->arg;
	struct ledger_entry entry;
	int r;

	if (is_open(closer, walk->cut.at.hour_end_usec))
		return -ECANCELED;
	r = ledger_walk_entry(walk, piece, next, &entry, err);
	if (r == 0)
		r = ledger_entries_add(walk->db, &entry, closer->host, next, err);
	closer->entries += r == 0;
	return r;
}

/* Not later than the first of the hours that say so. */
static int take_gap(struct ledger_walk *walk, const struct usage_point *from,
	const struct usage_point *to, struct err *err)
{
	return ledger_entries_add_gap(walk->db, walk->run.key, from, to, err);
}

static int next_run(struct db *db, struct ledger_closer *closer, struct err *err)
{
	int r = db_query(db,
		"SELECT hour_end, run FROM ledger_open WHERE (hour_end <= ?1 OR hour_end > ?4)"
		" AND (hour_end, run) > (?2, ?3) ORDER BY hour_end, run LIMIT 1",
		take_due, closer, err, "iiui", closer->due_usec, closer->after_end_usec,
		closer->after_run, present_end(closer));

	if (r < 0)
		return r;
	if (!closer->in_run) {
		closer->done = true;
		return 0;
	}
	closer->walk.gap_usec = closer->gap_usec;
	closer->walk.take = take;
	closer->walk.take_gap = take_gap;
	closer->walk.arg = closer;
	return ledger_walk_open(&closer->walk, db, closer->after_run, err);
}

/* The samples are through: of a run that has ended that is all there will be. */
static int finish_run(struct db *db, struct ledger_closer *closer, struct err *err)
{
	struct ledger_walk *walk = &closer->walk;
	int r;

	closer->in_run = false;
	if (!walk->run.ended || is_open(closer, walk->cut.at.hour_end_usec))
		return 0;
	r = ledger_walk_end(walk, db, err);
	return r < 0 ? r : ledger_entries_finish_run(db, walk->run.key, err);
}

static int go_on(struct db *db, struct ledger_closer *closer, size_t *rows, struct err *err)
{
	bool end;
	int r = ledger_walk_step(&closer->walk, db, rows, &end, err);

	if (r == -ECANCELED) {
		closer->in_run = false;
		return 0;
	}
	return r == 0 && end ? finish_run(db, closer, err) : r;
}

/* What one run's record lacks is one run's loss. */
static int leave_damaged(struct db *db, struct ledger_closer *closer, struct err *err)
{
	log_error("run-not-closed run=%" PRIu64 " error=\"%s\"", closer->after_run, err->msg);
	closer->in_run = false;
	closer->damaged++;
	return db_query(db, "ROLLBACK TO turn", NULL, NULL, err, "");
}

/* What a run's turn writes is kept whole, or not at all. */
static int take_turn(struct db *db, struct ledger_closer *closer, size_t *rows, struct err *err)
{
	uint64_t entries = closer->entries;
	int r = db_query(db, "SAVEPOINT turn", NULL, NULL, err, "");

	if (r < 0)
		return r;
	r = closer->in_run ? go_on(db, closer, rows, err) : next_run(db, closer, err);
	if (ledger_is_damaged(r, err)) {
		r = leave_damaged(db, closer, err);
		closer->entries = entries;
	}
	return r < 0 ? r : db_query(db, "RELEASE turn", NULL, NULL, err, "");
}

int ledger_close_step(struct db *db, void *arg, struct err *err)
{
	struct ledger_closer *closer = arg;
	size_t rows = LEDGER_STEP_ROWS;
	int r = 0;

	while (r == 0 && !closer->done && rows) {
		r = take_turn(db, closer, &rows, err);
		rows -= rows < ROWS_A_TURN ? rows : ROWS_A_TURN;
	}
	return r;
}
