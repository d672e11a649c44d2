/*
 * Deleting samples that are closed; see ledger_prune.h. Must never delete one that an open hour, or
 * an entry that is not old enough, rests on: of each run the last sample before that stays, and the
 * last that had its traffic and its I/O.
 */
#include "server/ledger_prune.h"

#include "base/cleanup.h"
#include "server/usage_sum.h"

#define SEQUENCES_A_STEP 1000u
#define RUNS_A_STEP	 200u

/* Operators' corrections rest on no samples. */
_Static_assert(LEDGER_OPERATOR == 8, "the flags of which entries are left out");

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int take_entry(
	void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	struct ledger_pruner *p = arg;

	(void)hash;
	(void)err;
	p->last = *entry;
	return 0;
}

/*
 * The last entry of the run, from one on, that is old enough and has none before it that is not.
 * Nothing is read of what was deleted up to that one before.
 */
static int find_last(struct db *db, struct ledger_pruner *p, uint64_t from, struct err *err)
{
	uint64_t young = INT64_MAX;
	uint64_t last = 0;
	int r = db_query(db,
		"SELECT number FROM ledger_entries WHERE run = ?1 AND number > ?2"
		" AND window_end > ?3 AND (flags & 8) = 0 ORDER BY number LIMIT 1",
		take_number, &young, err, "uui", p->after_run, from, p->before_usec);

	if (r == 0)
		r = db_query(db,
			"SELECT number FROM ledger_entries WHERE run = ?1 AND number >= ?2"
			" AND number < ?3 AND (flags & 8) = 0 ORDER BY number DESC LIMIT 1",
			take_number, &last, err, "uuu", p->after_run, from, young);
	p->last.number = 0;
	if (r == 0 && last)
		r = ledger_entries_cut_of_run(db, p->after_run, last - 1, 1, take_entry, p, err);
	return r;
}

/* Of a directory that an earlier version sampled, and that nothing was ever cut of. */
static int begin_nobodys(struct db *db, struct ledger_pruner *p, struct err *err)
{
	uint64_t nobodys = 0;
	int r = db_query(db,
		"SELECT EXISTS (SELECT 1 FROM runs r WHERE key = ?1 AND kind = 5 AND NOT EXISTS"
		" (SELECT 1 FROM ledger_open WHERE run = key)"
		" AND NOT EXISTS (SELECT 1 FROM ledger_entries WHERE run = r.key))",
		take_number, &nobodys, err, "u", p->after_run);

	if (r < 0 || !nobodys)
		return r;
	p->whole = p->in_run = true;
	p->first_sequence = 0;
	return db_query(db, "SELECT max(sequence) FROM samples WHERE run = ?1", take_number,
		&p->last.sequence, err, "u", p->after_run);
}

/* Runs are taken in the order of their keys; those that are through before have no samples left. */
static int next_run(struct db *db, struct ledger_pruner *p, struct err *err)
{
	uint64_t run = 0;
	uint64_t more = 1;
	uint64_t pruned = 0;
	int r = db_query(db, "SELECT run FROM samples WHERE run > ?1 ORDER BY run LIMIT 1",
		take_number, &run, err, "u", p->after_run);

	p->after_run = run;
	p->done = r == 0 && !run;
	if (r < 0 || p->done)
		return r;
	r = db_query(db, "SELECT entry FROM ledger_pruned WHERE run = ?1", take_number, &pruned,
		err, "u", run);
	if (r == 0)
		r = find_last(db, p, pruned, err);
	if (r == 0 && !p->last.number)
		return begin_nobodys(db, p, err);
	if (r < 0 || p->last.number == pruned)
		return r;
	r = db_query(db,
		"SELECT EXISTS (SELECT 1 FROM ledger_open WHERE run = ?1)"
		" OR EXISTS (SELECT 1 FROM ledger_entries WHERE run = ?1 AND number > ?2"
		" AND (flags & 8) = 0)",
		take_number, &more, err, "uu", run, p->last.number);
	p->whole = !more;
	p->first_sequence = p->whole ? 0 : 1;
	p->in_run = true;
	return r < 0 ? r
		     : db_query(db,
			       "INSERT INTO ledger_pruned (run, entry) VALUES (?1, ?2)"
			       " ON CONFLICT (run) DO UPDATE SET entry = ?2",
			       NULL, NULL, err, "uu", run, p->last.number);
}

/* Deletes some of the run's samples. */
static int go_on(struct db *db, struct ledger_pruner *p, struct err *err)
{
	uint64_t first = UINT64_MAX;
	uint64_t end = p->last.sequence + p->whole; /* not that one */
	uint64_t until;
	uint64_t changed = 0;
	int r = db_query(db,
		"SELECT coalesce(min(sequence), -1) FROM samples WHERE run = ?1 AND sequence >= ?2",
		take_number, &first, err, "uu", p->after_run, p->first_sequence);

	if (r < 0)
		return r;
	if (first >= end) {
		p->in_run = false;
		return 0;
	}
	until = end - first > SEQUENCES_A_STEP ? first + SEQUENCES_A_STEP : end;
	r = db_query(db,
		"DELETE FROM samples WHERE run = ?1 AND sequence >= ?2 AND sequence < ?3"
		" AND (?4 OR sequence NOT IN (?5, ?6))",
		NULL, NULL, err, "uuuduu", p->after_run, first, until, (int)p->whole,
		p->last.net_sequence, p->last.io_sequence);
	if (r == 0)
		r = db_query(db, "SELECT changes()", take_number, &changed, err, "");
	p->samples += changed;
	p->first_sequence = until;
	return r;
}

int ledger_prune_step(struct db *db, void *arg, struct err *err)
{
	struct ledger_pruner *p = arg;
	int r = 0;

	for (unsigned i = 0; r == 0 && !p->done && i < RUNS_A_STEP; i++) {
		if (!p->in_run) {
			r = next_run(db, p, err);
			continue;
		}
		/* One stretch of samples is enough of a step. */
		r = go_on(db, p, err);
		break;
	}
	return r;
}
