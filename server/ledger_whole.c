/*
 * Adding up a tenant's parts; see ledger_whole.h. Must never find more than there is: of each run
 * what is closed, up to when the directory was last read, and none that began before it was first.
 */
#include "server/ledger_whole.h"

#include "base/cleanup.h"
#include "server/sample_pack.h"
#include "server/store.h"

/* From when a run is known to end until nothing of it runs any more: it is killed meanwhile. */
#define ENDING_USEC UINT64_C(60000000)

#define ROWS_A_PART 5 /* what an entry costs, in rows of samples */

static int take_own(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct ledger_whole *w = arg;

	(void)err;
	w->after_own = db_column_u64(row, 0);
	w->start_boot_usec = db_column_u64(row, 1);
	db_column_text(row, 2, w->boot_id, sizeof(w->boot_id));
	w->in_own = true;
	return 0;
}

static void take_cpu(void *arg, int id, uint64_t value)
{
	struct ledger_whole *w = arg;

	if (id == ledger_meters[LEDGER_TENANT_CPU_USED].counter_id)
		w->counted_usec = value;
}

static int take_reading(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct ledger_whole *w = arg;

	w->read_boot_usec = db_column_u64(row, 0);
	if (sample_unpack(db_column_u64(row, 1), sqlite3_column_blob(row, 2),
		    (size_t)sqlite3_column_bytes(row, 2), take_cpu, w) == 0)
		return 0;
	return err_set(err, ERR_DATA_LOSS, LEDGER_DAMAGED,
		"a sample of a tenant's directory is damaged; restore the state from a backup");
}

/* What it had counted by its last entry, where no samples are left. */
static int read_last(struct db *db, struct ledger_whole *w, struct err *err)
{
	struct ledger_entry last;
	int r = ledger_entries_last_by(db, w->after_own, INT64_MAX, &last, err);

	w->read_boot_usec = last.number ? last.to_boot_usec : 0;
	w->counted_usec = last.number ? last.figures.counter_end[LEDGER_TENANT_CPU_USED] : 0;
	return r;
}

/* Where there is neither, nothing is by then. */
static int begin_own(struct db *db, struct ledger_whole *w, struct err *err)
{
	int r = db_query(db,
		"SELECT key, start_boot, boot_id FROM runs WHERE tenant_uid = ?1 AND key > ?2"
		" AND kind = 5 AND start_boot IS NOT NULL ORDER BY key LIMIT 1",
		take_own, w, err, "su", w->tenant_uid, w->after_own);

	/* What runs in it has later keys. */
	w->after_run = w->after_own;
	w->parts_usec = 0;
	w->read_boot_usec = 0;
	if (r == 0 && w->in_own)
		r = db_query(db,
			"SELECT boot, ids, packed FROM samples WHERE run = ?1"
			" ORDER BY sequence DESC LIMIT 1",
			take_reading, w, err, "u", w->after_own);
	return r == 0 && w->in_own && !w->read_boot_usec ? read_last(db, w, err) : r;
}

struct part {
	uint64_t run; /* 0: there is none */
	bool counts;
	bool beyond;		/* it is the directory's next boot of the host */
	uint64_t end_boot_usec; /* 0: it has not ended */
};

/*
 * What it had used for certain when the directory was read. What its last entry ends with is the
 * final reading of one that has ended, and lies between two readings of any other; what it begins
 * with was before a reading that is in it.
 */
static uint64_t used_by_then(
	const struct ledger_whole *w, const struct part *part, const struct ledger_entry *last)
{
	if (last->to_boot_usec == part->end_boot_usec &&
		part->end_boot_usec + ENDING_USEC <= w->read_boot_usec)
		return last->figures.counter_end[LEDGER_CPU_USED];
	return last->figures.samples ? last->figures.counter_start[LEDGER_CPU_USED] : 0;
}

static int take_part(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct part *part = arg;

	(void)err;
	part->run = db_column_u64(row, 0);
	part->counts = sqlite3_column_int(row, 1);
	part->end_boot_usec = db_column_u64(row, 2);
	part->beyond = sqlite3_column_int(row, 3);
	return 0;
}

/* Looks at the tenant's next run. *ret_any: there was one. */
static int add_run(
	struct db *db, struct ledger_whole *w, size_t *rows, bool *ret_any, struct err *err)
{
	struct part part = {0};
	struct ledger_entry last;
	int r = db_query(db,
		"SELECT key, kind IN (0, 4) AND boot_id = ?3 AND start_boot BETWEEN ?4 AND ?5,"
		" end_boot, kind = 5 AND boot_id <> ?3 FROM runs WHERE tenant_uid = ?1"
		" AND key > ?2 AND key < " STORE_HELD_KEYS " ORDER BY key LIMIT 1",
		take_part, &part, err, "susuu", w->tenant_uid, w->after_run, w->boot_id,
		w->start_boot_usec, w->read_boot_usec);

	(*rows)--;
	*ret_any = part.run && !part.beyond;
	w->after_run = part.run;
	if (r < 0 || !part.counts)
		return r;
	*rows -= *rows < ROWS_A_PART ? *rows : ROWS_A_PART;
	r = ledger_entries_last_by(db, part.run, w->read_boot_usec, &last, err);
	if (r == 0 && last.number)
		w->parts_usec += used_by_then(w, &part, &last);
	return r;
}

int ledger_whole_step(struct ledger_whole *w, struct db *db, size_t *rows, bool *ret_complete,
	bool *ret_end, struct err *err)
{
	bool any = true;
	int r = 0;

	*ret_complete = *ret_end = false;
	if (!w->in_own) {
		r = begin_own(db, w, err);
		*ret_end = r == 0 && !w->in_own;
		return r;
	}
	while (r == 0 && any && *rows)
		r = add_run(db, w, rows, &any, err);
	*ret_complete = r == 0 && !any;
	w->in_own = any;
	return r;
}
