/* Entries in the database; see ledger_entries.h. Never changes nor deletes one. */
#include "server/ledger_entries.h"

#include "base/cleanup.h"

#include <string.h>

/* --- chains --- */

static int take_chain(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct ledger_chain *chain = arg;

	(void)err;
	chain->key = db_column_u64(row, 0);
	db_column_text(row, 1, chain->tenant_uid, sizeof(chain->tenant_uid));
	chain->records = db_column_u64(row, 2);
	db_column_text(row, 3, chain->head, sizeof(chain->head));
	return 0;
}

int ledger_chain_of(
	struct db *db, const char *tenant_uid, struct ledger_chain *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	return db_query(db,
		"SELECT key, tenant_uid, records, head FROM ledger_chains WHERE tenant_uid = ?1",
		take_chain, ret, err, "s", tenant_uid);
}

int ledger_chain_after(struct db *db, uint64_t after_key, struct ledger_chain *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	return db_query(db,
		"SELECT key, tenant_uid, records, head FROM ledger_chains WHERE key > ?1"
		" ORDER BY key LIMIT 1",
		take_chain, ret, err, "u", after_key);
}

/* A tenant's chain, begun if there is none yet. */
static int chain_for(
	struct db *db, const char *tenant_uid, struct ledger_chain *ret, struct err *err)
{
	int r = ledger_chain_of(db, tenant_uid, ret, err);

	if (r < 0 || ret->key)
		return r;
	r = db_query(db, "INSERT INTO ledger_chains (tenant_uid, records, head) VALUES (?1, 0, '')",
		NULL, NULL, err, "s", tenant_uid);
	return r < 0 ? r : ledger_chain_of(db, tenant_uid, ret, err);
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int host_key(struct db *db, const char *host, uint64_t *ret, struct err *err)
{
	int r = db_query(db, "INSERT OR IGNORE INTO ledger_hosts (name) VALUES (?1)", NULL, NULL,
		err, "s", host);

	*ret = 0;
	return r < 0 ? r
		     : db_query(db, "SELECT key FROM ledger_hosts WHERE name = ?1", take_number,
			       ret, err, "s", host);
}

int ledger_entries_last(struct db *db, uint64_t *ret, struct err *err)
{
	*ret = 0;
	return db_query(db, "SELECT coalesce(max(number), 0) FROM ledger_entries", take_number, ret,
		err, "");
}

/* --- reading --- */

/* Those that samples were cut to, and no operator's corrections. */
#define IS_CUT "(e.flags & 8) = 0"
_Static_assert(LEDGER_OPERATOR == 8, "in IS_CUT");

struct reading {
	ledger_entry_fn fn;
	void *arg;
};

#define ENTRY_COLUMNS                                                                              \
	"SELECT e.number, e.run, r.tenant_uid, r.tenant, coalesce(l.account_ref, r.account_ref),"  \
	" r.container, r.container_uid, r.id, r.boot_id, h.name, coalesce(l.plan, ''),"            \
	" e.window_start, e.window_end, e.from_boot, e.to_boot, e.terms, e.gap, e.revision,"       \
	" e.flags, e.finalized, e.figures, e.hash, e.sequence, e.net_sequence, e.io_sequence"      \
	", coalesce((SELECT p.hash FROM ledger_entries p WHERE p.chain = e.chain"                  \
	" AND p.number < e.number ORDER BY p.number DESC LIMIT 1), ''), r.kind,"                   \
	" coalesce(k.corrects, ''), coalesce(k.reason, '')"                                        \
	" FROM ledger_entries e"                                                                   \
	" JOIN runs r ON r.key = e.run JOIN ledger_hosts h ON h.key = e.host"                      \
	" LEFT JOIN ledger_terms l ON l.key = e.terms"                                             \
	" LEFT JOIN ledger_corrections k ON k.entry = e.number "

static int take_entry(sqlite3_stmt *row, void *arg, struct err *err)
{
	const struct reading *reading = arg;
	struct ledger_entry e = {.number = db_column_u64(row, 0), .run = db_column_u64(row, 1)};
	char container[NAME_SIZE];
	int kind = sqlite3_column_int(row, 26);
	char hash[LEDGER_HASH_SIZE];

	db_column_text(row, 2, e.tenant_uid, sizeof(e.tenant_uid));
	db_column_text(row, 3, e.tenant, sizeof(e.tenant));
	db_column_text(row, 4, e.account_ref, sizeof(e.account_ref));
	db_column_text(row, 5, container, sizeof(container));
	if (kind < LEDGER_KINDS)
		ledger_resource((enum ledger_kind)kind, e.tenant, container, e.resource);
	db_column_text(row, 6, e.resource_uid, sizeof(e.resource_uid));
	db_column_text(row, 7, e.run_id, sizeof(e.run_id));
	db_column_text(row, 8, e.boot_id, sizeof(e.boot_id));
	db_column_text(row, 9, e.host, sizeof(e.host));
	db_column_text(row, 10, e.plan, sizeof(e.plan));
	e.window_start_usec = sqlite3_column_int64(row, 11);
	e.window_end_usec = sqlite3_column_int64(row, 12);
	e.from_boot_usec = db_column_u64(row, 13);
	e.to_boot_usec = db_column_u64(row, 14);
	e.terms = db_column_u64(row, 15);
	e.gap_usec = db_column_u64(row, 16);
	e.revision = (unsigned)sqlite3_column_int64(row, 17);
	e.flags = (unsigned)sqlite3_column_int64(row, 18);
	e.finalized_usec = sqlite3_column_int64(row, 19);
	if (ledger_figures_read(sqlite3_column_blob(row, 20), (size_t)sqlite3_column_bytes(row, 20),
		    &e.figures, e.carry) < 0)
		return err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
			"entry %llu of the ledger is damaged; restore the state from a backup",
			(unsigned long long)e.number);
	db_column_text(row, 21, hash, sizeof(hash));
	e.sequence = db_column_u64(row, 22);
	e.net_sequence = db_column_u64(row, 23);
	e.io_sequence = db_column_u64(row, 24);
	db_column_text(row, 25, e.prev_hash, sizeof(e.prev_hash));
	db_column_text(row, 27, e.corrects, sizeof(e.corrects));
	db_column_text(row, 28, e.note, sizeof(e.note));
	return reading->fn(reading->arg, &e, hash, err);
}

int ledger_entries_of_period(struct db *db, const struct ledger_period *period, ledger_entry_fn fn,
	void *arg, struct err *err)
{
	struct reading reading = {fn, arg};

	return db_query(db,
		ENTRY_COLUMNS "WHERE e.chain = ?1 AND e.window_start >= ?2 AND e.window_start < ?3"
			      " AND (e.window_start, e.number) > (?4, ?5) AND e.number <= ?6"
			      " ORDER BY e.window_start, e.number LIMIT ?7",
		take_entry, &reading, err, "uiiiuuu", period->chain,
		period->from_usec > period->after_window_usec ? period->from_usec
							      : period->after_window_usec,
		period->to_usec, period->after_window_usec, period->after_number,
		period->last_number, period->limit);
}

int ledger_entries_of_chain(struct db *db, uint64_t chain, uint64_t after_number, uint64_t limit,
	ledger_entry_fn fn, void *arg, struct err *err)
{
	struct reading reading = {fn, arg};

	return db_query(db,
		ENTRY_COLUMNS "WHERE e.chain = ?1 AND e.number > ?2 ORDER BY e.number LIMIT ?3",
		take_entry, &reading, err, "uuu", chain, after_number, limit);
}

int ledger_entries_of_run(struct db *db, uint64_t run_key, uint64_t after_number, uint64_t limit,
	ledger_entry_fn fn, void *arg, struct err *err)
{
	struct reading reading = {fn, arg};

	return db_query(db,
		ENTRY_COLUMNS "WHERE e.run = ?1 AND e.number > ?2 ORDER BY e.number LIMIT ?3",
		take_entry, &reading, err, "uuu", run_key, after_number, limit);
}

int ledger_entries_cut_of_run(struct db *db, uint64_t run_key, uint64_t after_number,
	uint64_t limit, ledger_entry_fn fn, void *arg, struct err *err)
{
	struct reading reading = {fn, arg};

	return db_query(db,
		ENTRY_COLUMNS "WHERE e.run = ?1 AND e.number > ?2 AND " IS_CUT
			      " ORDER BY e.number LIMIT ?3",
		take_entry, &reading, err, "uuu", run_key, after_number, limit);
}

int ledger_entries_of_window(struct db *db, uint64_t run_key, int64_t window_start_usec,
	uint64_t before_number, ledger_entry_fn fn, void *arg, struct err *err)
{
	struct reading reading = {fn, arg};

	return db_query(db,
		ENTRY_COLUMNS "WHERE e.run = ?1 AND e.window_start = ?2 AND e.number < ?3"
			      " ORDER BY e.number",
		take_entry, &reading, err, "uiu", run_key, window_start_usec, before_number);
}

int ledger_entries_of_hour(struct db *db, uint64_t chain, int64_t hour_usec, const char *name,
	const char *uid, ledger_entry_fn fn, void *arg, struct err *err)
{
	struct reading reading = {fn, arg};

	return db_query(db,
		ENTRY_COLUMNS "WHERE e.chain = ?1 AND e.window_start >= ?2 AND e.window_start < ?3"
			      " AND iif(?5 <> '', r.container_uid = ?5, r.container = ?4)"
			      " AND " IS_CUT " ORDER BY e.number",
		take_entry, &reading, err, "uiiss", chain, hour_usec, hour_usec + LEDGER_HOUR_USEC,
		name, uid);
}

int ledger_entries_after(struct db *db, uint64_t chain, uint64_t after_number, uint64_t limit,
	ledger_entry_fn fn, void *arg, struct err *err)
{
	struct reading reading = {fn, arg};

	return db_query(db,
		ENTRY_COLUMNS "WHERE e.number > ?2 AND (?1 = 0 OR e.chain = ?1)"
			      " ORDER BY e.number LIMIT ?3",
		take_entry, &reading, err, "uuu", chain, after_number, limit);
}

static int keep_entry(
	void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	(void)hash;
	(void)err;
	*(struct ledger_entry *)arg = *entry;
	return 0;
}

int ledger_entries_revision_before(struct db *db, uint64_t run_key, int64_t window_start_usec,
	uint64_t before_number, struct ledger_entry *ret, struct err *err)
{
	struct reading reading = {keep_entry, ret};

	ret->number = 0;
	return db_query(db,
		ENTRY_COLUMNS "WHERE e.run = ?1 AND e.window_start = ?2 AND e.number < ?3"
			      " AND " IS_CUT " ORDER BY e.number DESC LIMIT 1",
		take_entry, &reading, err, "uiu", run_key, window_start_usec, before_number);
}

int ledger_entries_last_by(struct db *db, uint64_t run_key, uint64_t boot_usec,
	struct ledger_entry *ret, struct err *err)
{
	struct reading reading = {keep_entry, ret};

	ret->number = 0;
	return db_query(db,
		ENTRY_COLUMNS "WHERE e.run = ?1 AND e.to_boot <= ?2 AND " IS_CUT
			      " ORDER BY e.number DESC LIMIT 1",
		take_entry, &reading, err, "uu", run_key, boot_usec);
}

/* --- writing --- */

/* The revision of this window; a peak is the highest of all its revisions. */
static int set_revision(struct db *db, struct ledger_entry *entry, struct err *err)
{
	struct ledger_entry before;
	int r = ledger_entries_revision_before(
		db, entry->run, entry->window_start_usec, entry->number, &before, err);

	if (r == 0 && before.number)
		ledger_entry_revise(entry, &before);
	return r;
}

static int put_entry(struct db *db, const struct ledger_entry *e, uint64_t chain, uint64_t host,
	const char *hash, struct err *err)
{
	uint8_t figures[LEDGER_FIGURES_MAX];
	size_t size = ledger_figures_write(&e->figures, e->carry, figures);

	return db_query(db,
		"INSERT INTO ledger_entries (number, chain, run, window_start, window_end,"
		" from_boot, to_boot, terms, gap, sequence, net_sequence, io_sequence, revision, "
		"flags,"
		" host, finalized, figures, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
		" ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
		NULL, NULL, err, "uuuiiuuuuuuudduibs", e->number, chain, e->run,
		e->window_start_usec, e->window_end_usec, e->from_boot_usec, e->to_boot_usec,
		e->terms, e->gap_usec, e->sequence, e->net_sequence, e->io_sequence,
		(int)e->revision, (int)e->flags, host, e->finalized_usec, (const void *)figures,
		size, hash);
}

static int move_open_row(struct db *db, const struct ledger_entry *e,
	const struct ledger_position *next, struct err *err)
{
	static const struct ledger_figures none;
	uint8_t carry[LEDGER_FIGURES_MAX];
	size_t size = ledger_figures_write(&none, e->carry, carry);

	return db_query(db,
		"UPDATE ledger_open SET hour_end = ?2, window_start = ?3, boot = ?4, sequence = ?5,"
		" net_sequence = ?6, io_sequence = ?7, terms = ?8, carry = ?9 WHERE run = ?1",
		NULL, NULL, err, "uiiuuuuub", e->run, next->hour_end_usec, next->window_start_usec,
		next->boot_usec, next->last_sequence, next->net_sequence, next->io_sequence,
		next->terms, (const void *)carry, size);
}

/* Whose chain an entry comes behind. */
struct place {
	struct ledger_chain chain;
	uint64_t host;
};

static int find_place(struct db *db, struct ledger_entry *entry, const char *host,
	struct place *ret, struct err *err)
{
	int r = chain_for(db, entry->tenant_uid, &ret->chain, err);

	if (r == 0)
		r = host_key(db, host, &ret->host, err);
	if (r == 0)
		r = ledger_entries_last(db, &entry->number, err);
	entry->number++;
	snprintf(entry->host, sizeof(entry->host), "%s", host);
	return r;
}

/* Puts the entry, which is complete but for its time of closing, behind the chain. */
static int append(
	struct db *db, struct ledger_entry *entry, const struct place *place, struct err *err)
{
	char hash[LEDGER_HASH_SIZE];
	uint64_t records = 0;
	int r;

	entry->finalized_usec = clock_wall_usec();
	memcpy(hash, place->chain.head, sizeof(hash));
	memcpy(entry->prev_hash, place->chain.head, sizeof(entry->prev_hash));
	r = ledger_entry_chain(entry, hash, err);
	if (r == 0)
		r = put_entry(db, entry, place->chain.key, place->host, hash, err);
	for (size_t m = 0; m < LEDGER_METERS; m++)
		records += ledger_entry_has(entry, m);
	return r < 0 ? r
		     : db_query(db,
			       "UPDATE ledger_chains SET records = records + ?2, head = ?3"
			       " WHERE key = ?1",
			       NULL, NULL, err, "uus", place->chain.key, records, hash);
}

int ledger_entries_add(struct db *db, struct ledger_entry *entry, const char *host,
	const struct ledger_position *next, struct err *err)
{
	struct place place;
	int r = find_place(db, entry, host, &place, err);

	if (r == 0)
		r = set_revision(db, entry, err);
	if (r == 0)
		r = append(db, entry, &place, err);
	return r < 0 ? r : move_open_row(db, entry, next, err);
}

int ledger_entries_correct(struct db *db, struct ledger_entry *entry, const char *host,
	const char *actor, struct err *err)
{
	struct place place;
	int r = find_place(db, entry, host, &place, err);

	if (r == 0)
		r = append(db, entry, &place, err);
	return r < 0 ? r
		     : db_query(db,
			       "INSERT INTO ledger_corrections (entry, corrects, reason, actor)"
			       " VALUES (?1, ?2, ?3, ?4)",
			       NULL, NULL, err, "usss", entry->number, entry->corrects, entry->note,
			       actor);
}

int ledger_entries_add_gap(struct db *db, uint64_t run_key, const struct usage_point *from,
	const struct usage_point *to, struct err *err)
{
	return db_query(db,
		"INSERT INTO gaps (run, reason, from_boot, to_boot, from_wall, to_wall)"
		" SELECT ?1, 'not sampled', ?2, ?3, ?4, ?5 WHERE NOT EXISTS"
		" (SELECT 1 FROM gaps WHERE run = ?1 AND from_boot = ?2)",
		NULL, NULL, err, "uuuii", run_key, from->boot_usec, to->boot_usec, from->wall_usec,
		to->wall_usec);
}

int ledger_entries_finish_run(struct db *db, uint64_t run_key, struct err *err)
{
	return db_query(
		db, "DELETE FROM ledger_open WHERE run = ?1", NULL, NULL, err, "u", run_key);
}
