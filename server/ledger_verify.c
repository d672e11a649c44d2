/* Proving the ledger; see ledger_verify.h. Only reads, and believes nothing that it can compute. */
#include "server/ledger_verify.h"

#include "base/cleanup.h"
#include "server/ledger_correct.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* A step is some milliseconds: an entry has a hash of each of its records. */
#define ENTRIES_A_STEP 32u
#define TILES_A_STEP   128u
#define ROWS_A_TILE    2 /* what one costs, in rows of samples */
#define ROWS_A_TURN    5 /* and a run */

__attribute__((format(printf, 3, 4))) static void add_problem(
	struct ledger_verifier *v, const struct ledger_entry *e, const char *fmt, ...)
{
	char window[CLOCK_TEXT_MAX];
	char *out = v->n_problems < LEDGER_PROBLEMS_MAX ? v->problems[v->n_problems] : NULL;
	va_list ap;
	int n;

	v->n_problems++;
	if (!out)
		return;
	n = e->window_start_usec ? snprintf(out, LEDGER_PROBLEM_SIZE, "%s of %s: ", e->resource,
					   clock_format(e->window_start_usec, window))
				 : snprintf(out, LEDGER_PROBLEM_SIZE, "%s: ", e->resource);
	va_start(ap, fmt);
	vsnprintf(out + n, LEDGER_PROBLEM_SIZE - (size_t)n, fmt, ap);
	va_end(ap);
}

static uint64_t records_of(const struct ledger_entry *e)
{
	return (uint64_t)__builtin_popcountll(e->figures.present);
}

static int note_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

/* --- the chain --- */

/* The last entry that was closed by a version which put down no gaps with it. */
static int gaps_begin_after(struct db *db, uint64_t *ret, struct err *err)
{
	return db_query(db,
		"SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'closed_gaps_after'",
		note_number, ret, err, "");
}

/*
 * What says that there is a gap has one on record, and the other way round. A run's gaps do not
 * overlap, so that those of an hour begin in it, or are the last one that began before.
 */
static int check_gap(struct ledger_verifier *v, const struct ledger_entry *e, struct err *err)
{
	bool told = e->flags & LEDGER_GAP;
	uint64_t on_record = 0;
	uint64_t after = 0;
	int r = db_query(v->db,
		"SELECT EXISTS (SELECT 1 FROM gaps WHERE run = ?1 AND from_boot < ?3 AND from_boot"
		" >= coalesce((SELECT max(from_boot) FROM gaps WHERE run = ?1 AND from_boot <= ?2),"
		" 0) AND to_boot > ?2 AND to_boot - from_boot > ?4)",
		note_number, &on_record, err, "uuuu", e->run, e->from_boot_usec, e->to_boot_usec,
		e->gap_usec);

	if (r == 0 && told && !on_record)
		r = gaps_begin_after(v->db, &after, err);
	if (r < 0)
		return r;
	if (!told && on_record)
		add_problem(v, e, "it does not say that there was a gap, which is on record");
	else if (told && !on_record && e->number > after)
		add_problem(v, e, "it says that there was a gap, and none is on record");
	return 0;
}

/* What a cgroup counted is the difference of its ends, unless a counter fell. */
static void check_amounts(struct ledger_verifier *v, const struct ledger_entry *e)
{
	const struct ledger_figures *f = &e->figures;

	for (size_t m = 0; m < LEDGER_METERS && !(e->flags & LEDGER_FELL); m++)
		if (ledger_entry_has(e, m) && ledger_meters[m].kind == METER_COUNTER &&
			ledger_meters[m].group == USAGE_CGROUP &&
			f->quantity[m] != f->counter_end[m] - f->counter_start[m])
			add_problem(v, e, "%s is not what its counter went on by",
				ledger_meters[m].name);
}

static int check_cut(struct ledger_verifier *v, const struct ledger_entry *e, struct err *err)
{
	check_amounts(v, e);
	return check_gap(v, e, err);
}

/* One entry of a run goes on from where the one before it ended. */
static bool goes_on(const struct ledger_entry *before, const struct ledger_entry *e)
{
	if (before->to_boot_usec != e->from_boot_usec)
		return false;
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (ledger_meters[m].kind == METER_COUNTER &&
			ledger_meters[m].group == USAGE_CGROUP && ledger_entry_has(before, m) &&
			ledger_entry_has(e, m) &&
			before->figures.counter_end[m] != e->figures.counter_start[m])
			return false;
	return true;
}

static int check_link(void *arg, const struct ledger_entry *e, const char *hash, struct err *err)
{
	struct ledger_verifier *v = arg;
	const char *problem = NULL;
	int r = ledger_entry_chain(e, v->hash, err);

	if (r == 0 && e->flags & LEDGER_OPERATOR)
		r = ledger_correction_check(v->db, e, &problem, err);
	else if (r == 0)
		r = check_cut(v, e, err);
	if (r < 0)
		return r;
	if (problem)
		add_problem(v, e, "%s", problem);
	if (strcmp(v->hash, hash) != 0)
		add_problem(v, e,
			"its records are not those that were written, or one before it"
			" is missing");
	/* What follows is judged by what it was written behind. */
	memcpy(v->hash, hash, sizeof(v->hash));
	v->after_number = e->number;
	v->records += records_of(e);
	return 0;
}

static int walk_chain(struct db *db, struct ledger_verifier *v, struct err *err)
{
	struct ledger_entry none = {.resource = "the whole chain"};
	uint64_t before = v->after_number;
	struct ledger_chain now;
	int r;

	v->db = db;
	r = ledger_entries_of_chain(
		db, v->chain.key, v->after_number, ENTRIES_A_STEP, check_link, v, err);

	if (r < 0 || v->after_number != before)
		return r;
	v->chained = true;
	/* As it is now, which may be more than at the beginning. */
	r = ledger_chain_of(db, v->chain.tenant_uid, &now, err);
	if (r == 0 && (strcmp(v->hash, now.head) != 0 || v->records != now.records))
		add_problem(v, &none, "its last records are missing");
	return r;
}

/* --- a run --- */

static int keep_expected(
	void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	struct ledger_verifier *v = arg;

	(void)hash;
	(void)err;
	v->expected = *entry;
	return 0;
}

/* The run's next entry, of those that the chain was walked to. */
static int expect_next(struct db *db, struct ledger_verifier *v, uint64_t after, struct err *err)
{
	int r;

	v->expected.number = 0;
	r = ledger_entries_cut_of_run(db, v->after_run, after, 1, keep_expected, v, err);
	if (r == 0 && v->expected.number > v->after_number)
		v->expected.number = 0;
	if (r == 0 && v->expected.number)
		v->walk.cut.gap_usec = v->expected.gap_usec;
	return r;
}

/*
 * Meters that there are by its samples, and the entry need not have: it was closed by a version
 * that did not know them, and so was every one of the run before it.
 */
static uint64_t not_known_then(const struct ledger_verifier *v)
{
	return ledger_later_meters() & ~v->met;
}

static const char *difference(
	const struct ledger_verifier *v, const struct ledger_entry *a, const struct ledger_entry *b)
{
	if (a->from_boot_usec != b->from_boot_usec || a->to_boot_usec != b->to_boot_usec)
		return "it begins or ends at another moment";
	if (a->window_start_usec != b->window_start_usec ||
		a->window_end_usec != b->window_end_usec)
		return "it is of another window";
	if (a->terms != b->terms)
		return "other terms held";
	if (a->revision != b->revision)
		return "it has another revision";
	if (a->flags != b->flags)
		return "its reason differs";
	if (a->figures.present & ~b->figures.present ||
		b->figures.present & ~a->figures.present & ~not_known_then(v) ||
		a->figures.samples != b->figures.samples)
		return "it has other meters or samples";
	if (memcmp(a->carry, b->carry, sizeof(a->carry)) != 0 || a->sequence != b->sequence ||
		a->net_sequence != b->net_sequence || a->io_sequence != b->io_sequence)
		return "what follows it is not what it leaves";
	return NULL;
}

static void compare(struct ledger_verifier *v, const struct ledger_entry *found)
{
	const struct ledger_entry *e = &v->expected;
	const char *what = difference(v, e, found);
	char should[USAGE_DECIMAL_MAX];
	char is[USAGE_DECIMAL_MAX];

	if (what)
		add_problem(v, e, "by its samples %s", what);
	for (size_t m = 0; !what && m < LEDGER_METERS; m++) {
		if (!ledger_entry_has(e, m))
			continue;
		if (e->figures.quantity[m] == found->figures.quantity[m] &&
			!(ledger_meter_is_burst(m) &&
				memcmp(&e->figures.slots, &found->figures.slots,
					sizeof(e->figures.slots)) != 0) &&
			e->figures.counter_start[m] == found->figures.counter_start[m] &&
			e->figures.counter_end[m] == found->figures.counter_end[m])
			continue;
		add_problem(v, e, "%s is %s, by its samples %s", ledger_meters[m].name,
			usage_format(e->figures.quantity[m], is),
			usage_format(found->figures.quantity[m], should));
	}
	v->met |= e->figures.present;
	v->recomputed += records_of(e);
}

/* A piece by the samples against the entry that was made of it. -ECANCELED: all were seen. */
static int take(struct ledger_walk *walk, const struct ledger_piece *piece,
	const struct ledger_position *next, struct err *err)
{
	struct ledger_verifier *v = walk->arg;
	struct ledger_entry before;
	struct ledger_entry found;
	int r;

	if (!v->expected.number)
		return -ECANCELED;
	r = ledger_walk_entry(walk, piece, next, &found, err);
	if (r == 0)
		r = ledger_entries_revision_before(walk->db, walk->run.key, found.window_start_usec,
			v->expected.number, &before, err);
	if (r < 0)
		return r;
	if (before.number)
		ledger_entry_revise(&found, &before);
	compare(v, &found);
	return expect_next(walk->db, v, v->expected.number, err);
}

static int check_tile(void *arg, const struct ledger_entry *e, const char *hash, struct err *err)
{
	struct ledger_verifier *v = arg;

	(void)hash;
	(void)err;
	if (e->number > v->tiles_end)
		return 0;
	if (v->tile.number && !goes_on(&v->tile, e))
		add_problem(v, e, "it does not begin where the one before it ended");
	v->tile = *e;
	return 0;
}

/* From where samples are still there: behind `tile`, or from the run's start. */
static int begin_run(struct db *db, struct ledger_verifier *v, struct err *err)
{
	const struct ledger_entry *tile = &v->tile;
	struct ledger_position at;
	struct ledger_run run;
	int r = expect_next(db, v, tile->number, err);

	v->in_tiles = false;
	if (r < 0 || !v->expected.number)
		return r;
	v->walk.take = take;
	v->walk.arg = v;
	v->walk.gap_usec = v->expected.gap_usec;
	r = ledger_run_load(db, v->after_run, &run, err);
	if (r < 0)
		return r;
	at = ledger_cut_start(&run.start);
	if (tile->number)
		at = (struct ledger_position){.boot_usec = tile->to_boot_usec,
			.window_start_usec = v->expected.window_start_usec,
			.hour_end_usec = ledger_hour_of(v->expected.window_start_usec) +
					 LEDGER_HOUR_USEC,
			.last_sequence = tile->sequence,
			.net_sequence = tile->net_sequence,
			.io_sequence = tile->io_sequence};
	at.terms = v->expected.terms;
	v->in_run = true;
	r = ledger_walk_begin(&v->walk, db, v->after_run, &at, tile->carry, err);
	v->walk.cut.gap_usec = v->expected.gap_usec;
	return r;
}

/* Of entries whose samples are gone only that they follow each other can be said. */
static int walk_tiles(struct db *db, struct ledger_verifier *v, size_t *rows, struct err *err)
{
	uint64_t before = v->tile.number;
	int r = ledger_entries_cut_of_run(
		db, v->after_run, before, TILES_A_STEP, check_tile, v, err);

	*rows -= *rows < TILES_A_STEP * ROWS_A_TILE ? *rows : TILES_A_STEP * ROWS_A_TILE;
	if (r == 0 && (v->tile.number == before || v->tile.number >= v->tiles_end))
		r = begin_run(db, v, err);
	return r;
}

static int end_run(struct db *db, struct ledger_verifier *v, struct err *err)
{
	int r = 0;

	v->in_run = false;
	if (v->expected.number && v->walk.run.ended)
		r = ledger_walk_end(&v->walk, db, err);
	if (r == -ECANCELED)
		r = 0;
	if (r == 0 && v->expected.number)
		add_problem(v, &v->expected, "there are no samples of it");
	return r;
}

static int go_on(struct db *db, struct ledger_verifier *v, size_t *rows, struct err *err)
{
	bool end;
	int r = ledger_walk_step(&v->walk, db, rows, &end, err);

	if (r == -ECANCELED) {
		v->in_run = false;
		return 0;
	}
	/* Behind the last entry nothing is closed. */
	if (r == 0 && !v->expected.number)
		v->in_run = false;
	else if (r == 0 && end)
		r = end_run(db, v, err);
	return r;
}

/* From its start, or from behind what its samples are deleted of. */
static int begin_turn(struct db *db, struct ledger_verifier *v, struct err *err)
{
	int r;

	v->in_turn = true;
	v->met = 0;
	v->tiles_end = 0;
	memset(&v->tile, 0, sizeof(v->tile));
	r = db_query(db, "SELECT entry FROM ledger_pruned WHERE run = ?1", note_number,
		&v->tiles_end, err, "u", v->after_run);
	v->in_tiles = v->tiles_end != 0;
	return r < 0 || v->in_tiles ? r : begin_run(db, v, err);
}

/* A problem is none where samples were deleted meanwhile: the run is looked at again. */
static int end_turn(struct db *db, struct ledger_verifier *v, struct err *err)
{
	uint64_t pruned = 0;
	int r = 0;

	if (v->n_problems != v->turn_problems)
		r = db_query(db, "SELECT entry FROM ledger_pruned WHERE run = ?1", note_number,
			&pruned, err, "u", v->after_run);
	if (r < 0)
		return r;
	v->in_turn = false;
	if (v->n_problems == v->turn_problems || pruned == v->tiles_end)
		return 0;
	v->n_problems = v->turn_problems;
	v->recomputed = v->turn_recomputed;
	return begin_turn(db, v, err);
}

static int next_run(struct db *db, struct ledger_verifier *v, struct err *err)
{
	uint64_t key = 0;
	int r = db_query(db,
		"SELECT key FROM runs WHERE tenant_uid = ?1 AND key > ?2"
		" ORDER BY key LIMIT 1",
		note_number, &key, err, "su", v->chain.tenant_uid, v->after_run);

	if (r < 0)
		return r;
	v->after_run = key;
	v->turn_problems = v->n_problems;
	v->turn_recomputed = v->recomputed;
	if (key)
		return begin_turn(db, v, err);
	v->in_whole = true;
	memcpy(v->whole.tenant_uid, v->chain.tenant_uid, sizeof(v->whole.tenant_uid));
	return 0;
}

/* --- all of them --- */

static int walk_whole(struct db *db, struct ledger_verifier *v, size_t *rows, struct err *err)
{
	struct ledger_entry none = {.resource = "all that ran"};
	char parts[USAGE_DECIMAL_MAX];
	char counted[USAGE_DECIMAL_MAX];
	bool complete;
	int r = ledger_whole_step(&v->whole, db, rows, &complete, &v->done, err);

	if (r == 0 && complete && v->whole.parts_usec > v->whole.counted_usec)
		add_problem(v, &none,
			"its records have %s us of CPU time on one boot of the host, and the"
			" tenant's directory counted %s",
			usage_format(v->whole.parts_usec, parts),
			usage_format(v->whole.counted_usec, counted));
	return r;
}

/* What cannot be read is a problem of the chain or run that it was met in, which ends there. */
static int note_damage(struct ledger_verifier *v, const struct err *err)
{
	struct ledger_entry none = {.resource = "what is on record"};

	add_problem(v, &none, "%s", err->msg);
	v->chained = true;
	v->in_tiles = false;
	v->in_run = false;
	v->done = v->in_whole;
	return 0;
}

static int take_turn(struct db *db, struct ledger_verifier *v, size_t *rows, struct err *err)
{
	if (!v->chained)
		return walk_chain(db, v, err);
	if (v->in_whole)
		return walk_whole(db, v, rows, err);
	if (v->in_tiles)
		return walk_tiles(db, v, rows, err);
	if (v->in_run)
		return go_on(db, v, rows, err);
	return v->in_turn ? end_turn(db, v, err) : next_run(db, v, err);
}

int ledger_verify_step(struct db *db, void *arg, struct err *err)
{
	struct ledger_verifier *v = arg;
	size_t rows = LEDGER_STEP_ROWS;
	bool hashing = !v->chained;
	int r = 0;

	while (r == 0 && !v->done && rows) {
		r = take_turn(db, v, &rows, err);
		if (ledger_is_damaged(r, err))
			r = note_damage(v, err);
		rows -= hashing || rows < ROWS_A_TURN ? rows : ROWS_A_TURN;
	}
	return r;
}
