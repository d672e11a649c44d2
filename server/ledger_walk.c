/* Samples of a run to pieces; see ledger_walk.h. Only reads. */
#include "server/ledger_walk.h"

#include "base/cleanup.h"
#include "server/limits_text.h"
#include "server/sample_pack.h"

#include <errno.h>
#include <string.h>

/* --- what a run is --- */

static int take_run(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct ledger_run *run = arg;

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
	run->ended = sqlite3_column_int(row, 10);
	run->kind = (enum ledger_kind)sqlite3_column_int(row, 11);
	run->partial_writes = sqlite3_column_int(row, 12);
	return run->kind < LEDGER_KINDS ? 0
					: err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
						  "a run of the ledger is of no kind");
}

static void take_value(void *arg, int id, uint64_t value)
{
	usage_point_set(arg, id, value);
}

/* Columns: ids, packed. */
static int unpack(sqlite3_stmt *row, int column, struct usage_point *point, struct err *err)
{
	if (sample_unpack(db_column_u64(row, column), sqlite3_column_blob(row, column + 1),
		    (size_t)sqlite3_column_bytes(row, column + 1), take_value, point) == 0)
		return 0;
	return err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
		"a sample of the ledger is damaged; restore the state from a backup");
}

/* Columns: ids, packed, boot, wall. */
static int take_point(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct usage_point *point = arg;

	point->boot_usec = db_column_u64(row, 2);
	point->wall_usec = sqlite3_column_int64(row, 3);
	return unpack(row, 0, point, err);
}

/* What is known of the start beside its moment, which is the run's. */
static int take_start(sqlite3_stmt *row, void *arg, struct err *err)
{
	return unpack(row, 0, arg, err);
}

const char *ledger_resource(
	enum ledger_kind kind, const char *tenant, const char *name, char out[static RESOURCE_SIZE])
{
	static const char *const collections[LEDGER_KINDS] = {[LEDGER_RUN] = "/containers/",
		[LEDGER_CONTAINER] = "/containers/",
		[LEDGER_TENANT] = "",
		[LEDGER_VOLUME] = "/volumes/",
		[LEDGER_WORK] = "",
		[LEDGER_OWN] = ""};

	snprintf(out, RESOURCE_SIZE, "tenants/%s%s%s", tenant, collections[kind], name);
	return out;
}

bool ledger_is_damaged(int r, const struct err *err)
{
	return r == -EBADMSG && !strcmp(err->reason, LEDGER_DAMAGED);
}

int ledger_run_load(struct db *db, uint64_t key, struct ledger_run *ret, struct err *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = db_query(db,
		"SELECT key, id, tenant_uid, tenant, account_ref, container_uid, container, "
		"boot_id,"
		" start_boot, start_wall, end_wall IS NOT NULL, kind, partial_writes"
		" FROM runs WHERE key = ?1",
		take_run, ret, err, "u", key);
	if (r == 0 && !ret->key)
		return err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
			"a run of the ledger is missing; restore the state from a backup");
	/* Where its traffic's counters began (see store_base()), or what was held then. */
	if (r == 0)
		r = db_query(db, "SELECT ids, packed FROM samples WHERE run = ?1 AND sequence = 0",
			take_start, &ret->start, err, "u", key);
	return r;
}

static int load_sample(
	struct ledger_walk *walk, uint64_t sequence, struct usage_point *ret, struct err *err)
{
	return db_query(walk->db,
		"SELECT ids, packed, boot, wall FROM samples WHERE run = ?1 AND sequence = ?2",
		take_point, ret, err, "uu", walk->run.key, sequence);
}

/* The sample there, with what was known of each group by then, and when of the traffic. */
static int load_point(struct ledger_walk *walk, const struct ledger_position *at,
	struct usage_point *ret, struct err *err)
{
	struct usage_point point = {.sequence = at->last_sequence};
	struct usage_point net = {.sequence = 0};
	struct usage_point io = {.sequence = 0};
	int r;

	walk->cut.net_boot_usec = walk->run.start.boot_usec;
	if (!at->last_sequence) {
		*ret = walk->run.start;
		return 0;
	}
	r = load_sample(walk, at->last_sequence, &point, err);
	if (r == 0)
		r = load_sample(walk, at->net_sequence, &net, err);
	if (r == 0 && at->io_sequence)
		r = load_sample(walk, at->io_sequence, &io, err);
	if (r == 0 && !point.boot_usec)
		return err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
			"a sample of the ledger is missing; restore the state from a backup");
	if (at->net_sequence)
		walk->cut.net_boot_usec = net.boot_usec;
	if (!point.counters.has_net) {
		point.counters.has_net = net.counters.has_net;
		point.counters.net = net.counters.net;
	}
	if (!point.counters.has_io) {
		point.counters.has_io = io.counters.has_io;
		point.counters.io = io.counters.io;
	}
	*ret = point;
	return r;
}

/* --- terms --- */

static int take_terms(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct ledger_terms *terms = arg;
	char limits[LIMITS_TEXT_SIZE];

	terms->key = db_column_u64(row, 0);
	terms->boot_usec = db_column_u64(row, 1);
	terms->wall_usec = sqlite3_column_int64(row, 2);
	db_column_text(row, 3, limits, sizeof(limits));
	if (limits_text_read(limits, &terms->limits, err) < 0)
		return err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
			"terms of the ledger are damaged; restore the state from a backup");
	return 0;
}

/* Whose terms hold: a volume's are its tenant's. */
static const char *terms_subject(const struct ledger_run *run)
{
	return run->kind == LEDGER_VOLUME ? "" : run->container_uid;
}

static int next_terms(void *arg, uint64_t after_key, struct ledger_terms *ret, struct err *err)
{
	const struct ledger_walk *walk = arg;

	memset(ret, 0, sizeof(*ret));
	return db_query(walk->db,
		"SELECT key, boot, wall, limits FROM ledger_terms WHERE tenant_uid = ?1"
		" AND container_uid = ?2 AND key > ?3 AND boot_id = ?4 ORDER BY key LIMIT 1",
		take_terms, ret, err, "ssus", walk->run.tenant_uid, terms_subject(&walk->run),
		after_key, walk->run.boot_id);
}

static int load_terms(
	struct ledger_walk *walk, uint64_t key, struct ledger_terms *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	return key ? db_query(walk->db,
			     "SELECT key, boot, wall, limits FROM ledger_terms WHERE key = ?1",
			     take_terms, ret, err, "u", key)
		   : 0;
}

static int take_names(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct ledger_entry *e = arg;

	(void)err;
	db_column_text(row, 0, e->plan, sizeof(e->plan));
	db_column_text(row, 1, e->account_ref, sizeof(e->account_ref));
	return 0;
}

int ledger_walk_entry(struct ledger_walk *walk, const struct ledger_piece *piece,
	const struct ledger_position *next, struct ledger_entry *ret, struct err *err)
{
	const struct ledger_run *run = &walk->run;
	struct ledger_entry *e = ret;

	memset(e, 0, sizeof(*e));
	e->run = run->key;
	memcpy(e->tenant_uid, run->tenant_uid, sizeof(e->tenant_uid));
	memcpy(e->tenant, run->tenant, sizeof(e->tenant));
	memcpy(e->account_ref, run->account_ref, sizeof(e->account_ref));
	ledger_resource(run->kind, run->tenant, run->container, e->resource);
	memcpy(e->resource_uid, run->container_uid, sizeof(e->resource_uid));
	memcpy(e->run_id, run->id, sizeof(e->run_id));
	memcpy(e->boot_id, run->boot_id, sizeof(e->boot_id));
	e->window_start_usec = piece->window_start_usec;
	e->window_end_usec = piece->window_end_usec;
	e->from_boot_usec = piece->from_boot_usec;
	e->to_boot_usec = piece->to_boot_usec;
	e->terms = piece->terms;
	e->sequence = next->last_sequence;
	e->net_sequence = next->net_sequence;
	e->io_sequence = next->io_sequence;
	e->gap_usec = walk->cut.gap_usec;
	e->flags = piece->flags | (run->partial_writes ? LEDGER_PARTIAL_WRITES : 0);
	ledger_figures_make(piece, walk->carry, &e->figures);
	memcpy(e->carry, walk->carry, sizeof(e->carry));
	return piece->terms ? db_query(walk->db,
				      "SELECT plan, account_ref FROM ledger_terms WHERE key = ?1",
				      take_names, e, err, "u", piece->terms)
			    : 0;
}

/* --- walking --- */

static int emit(void *arg, const struct ledger_piece *piece, const struct ledger_position *next,
	struct err *err)
{
	struct ledger_walk *walk = arg;

	return walk->take(walk, piece, next, err);
}

static int tell_gap(
	void *arg, const struct usage_point *from, const struct usage_point *to, struct err *err)
{
	struct ledger_walk *walk = arg;

	return walk->take_gap ? walk->take_gap(walk, from, to, err) : 0;
}

int ledger_walk_begin(struct ledger_walk *walk, struct db *db, uint64_t run_key,
	const struct ledger_position *at, const uint32_t carry[static LEDGER_METERS],
	struct err *err)
{
	struct ledger_terms terms;
	struct usage_point last;
	int r;

	walk->db = db;
	memcpy(walk->carry, carry, sizeof(walk->carry));
	walk->after_sequence = at->last_sequence;
	walk->cut = (struct ledger_cut){.gap_usec = walk->gap_usec,
		.next_terms = next_terms,
		.emit = emit,
		.gap = tell_gap,
		.arg = walk};
	r = ledger_run_load(db, run_key, &walk->run, err);
	walk->cut.kind = walk->run.kind;
	if (!ledger_kind_is_swept(walk->run.kind))
		walk->cut.gap_usec *= LEDGER_HELD_LOOKS;
	if (r == 0)
		r = load_point(walk, at, &last, err);
	if (r == 0)
		r = load_terms(walk, at->terms, &terms, err);
	if (r == 0)
		r = ledger_cut_begin(&walk->cut, at, &last, &terms, walk->run.start.wall_usec, err);
	return r;
}

struct open_row {
	struct ledger_position at;
	uint32_t carry[LEDGER_METERS];
	bool found;
};

static int take_open(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct open_row *open = arg;
	struct ledger_figures none;
	int size = sqlite3_column_bytes(row, 7);

	open->found = true;
	open->at.hour_end_usec = sqlite3_column_int64(row, 0);
	open->at.window_start_usec = sqlite3_column_int64(row, 1);
	open->at.boot_usec = db_column_u64(row, 2);
	open->at.last_sequence = db_column_u64(row, 3);
	open->at.net_sequence = db_column_u64(row, 4);
	open->at.io_sequence = db_column_u64(row, 5);
	open->at.terms = db_column_u64(row, 6);
	if (size && ledger_figures_read(
			    sqlite3_column_blob(row, 7), (size_t)size, &none, open->carry) < 0)
		return err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
			"the ledger's open runs are damaged; restore the state from a backup");
	return 0;
}

int ledger_walk_open(struct ledger_walk *walk, struct db *db, uint64_t run_key, struct err *err)
{
	struct open_row open = {.found = false};
	int r = db_query(db,
		"SELECT hour_end, window_start, boot, sequence, net_sequence, io_sequence, terms,"
		" carry FROM ledger_open WHERE run = ?1",
		take_open, &open, err, "u", run_key);

	if (r < 0)
		return r;
	if (!open.found)
		return -ENOENT;
	return ledger_walk_begin(walk, db, run_key, &open.at, open.carry, err);
}

struct samples {
	struct ledger_walk *walk;
	size_t n;
};

static int take_sample(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct samples *s = arg;
	struct usage_point point = {.sequence = db_column_u64(row, 4)};
	int r = take_point(row, &point, err);

	if (r == 0)
		r = ledger_cut_add(&s->walk->cut, &point, err);
	s->walk->after_sequence = point.sequence;
	s->n++;
	return r;
}

int ledger_walk_step(
	struct ledger_walk *walk, struct db *db, size_t *rows, bool *ret_end, struct err *err)
{
	struct samples s = {.walk = walk};
	size_t limit = *rows ? *rows : 1;
	int r;

	walk->db = db;
	r = db_query(db,
		"SELECT ids, packed, boot, wall, sequence FROM samples WHERE run = ?1 AND"
		" sequence > ?2 ORDER BY sequence LIMIT ?3",
		take_sample, &s, err, "uuu", walk->run.key, walk->after_sequence, (uint64_t)limit);
	*ret_end = s.n < limit;
	*rows -= s.n < *rows ? s.n : *rows;
	return r;
}

int ledger_walk_end(struct ledger_walk *walk, struct db *db, struct err *err)
{
	walk->db = db;
	return ledger_cut_end(&walk->cut, err);
}
