/*
 * Statements on what is held; see store.h and held.h. Rows are found by their id, and have keys
 * above those of runs, which are given out in memory.
 */
#include "server/sample_pack.h"
#include "server/store.h"
#include "server/volume.h"

#include <string.h>

void store_put_held(struct db_tx *tx, const struct held *held, enum ledger_kind kind,
	const struct tenant *t, const char *uid)
{
	/* Not before its terms are: they were put with it, a moment later. */
	db_tx_write(tx,
		"INSERT OR IGNORE INTO runs (key, id, tenant_uid, tenant, account_ref, "
		"container_uid,"
		" container, boot_id, start_boot, start_wall, kind)"
		" SELECT max(coalesce((SELECT max(key) FROM runs), 0), " STORE_HELD_KEYS ") + 1,"
		" ?1, ?2, ?3, ?4, ?5, ?6, host_boot_id(), b.boot, ?8 + (b.boot - ?7), ?9"
		" FROM (SELECT max(?7, coalesce((SELECT min(boot) FROM ledger_terms WHERE"
		" tenant_uid = ?2 AND container_uid = ?5 AND boot_id = host_boot_id()), 0)) AS "
		"boot) b",
		"ssssssuid", held->id, t->uid, t->name, t->account_ref, uid, held->name,
		held->begin_boot_usec, held->begin_wall_usec, (int)kind);
	db_tx_write(tx,
		"INSERT OR IGNORE INTO ledger_open (run, hour_end, window_start, boot, sequence,"
		" net_sequence, io_sequence, terms, carry) SELECT r.key, r.start_wall -"
		" r.start_wall % 3600000000 + 3600000000, r.start_wall, r.start_boot, 0, 0, 0,"
		" coalesce((SELECT max(l.key) FROM ledger_terms l WHERE l.tenant_uid = r.tenant_uid"
		" AND l.container_uid = iif(r.kind = 3, '', r.container_uid) AND (l.boot_id <> "
		"r.boot_id OR l.boot <="
		" r.start_boot)), 0), x'' FROM runs r WHERE r.id = ?1 AND r.end_wall IS NULL",
		"s", held->id);
}

static void put_row(struct db_tx *tx, const struct held *held, uint64_t sequence, uint64_t boot,
	int64_t wall, const struct usage_held *values)
{
	struct sample_packed packed;

	sample_pack_begin(&packed);
	for (int i = 0; i < HELD_N; i++)
		if (values->known & 1u << i)
			sample_pack_add(&packed, USAGE_HELD_FIRST + i, values->value[i]);
	db_tx_write(tx,
		"INSERT OR IGNORE INTO samples (run, sequence, boot, wall, ids, packed)"
		" SELECT key, ?2, ?3, ?4, ?5, ?6 FROM runs WHERE id = ?1",
		"suuiub", held->id, sequence, boot, wall, packed.ids, (const void *)packed.data,
		packed.size);
}

void store_held_base(struct db_tx *tx, const struct held *held, const struct usage_held *values)
{
	if (values->known)
		put_row(tx, held, 0, held->begin_boot_usec, held->begin_wall_usec, values);
}

void store_held_sample(struct db_tx *tx, const struct held *held, const struct usage_held *values)
{
	put_row(tx, held, held->sequence, clock_boot_usec(), clock_wall_usec(), values);
}

void store_end_held(struct db_tx *tx, const struct held *held)
{
	db_tx_write(tx,
		"UPDATE runs SET end_boot = (SELECT boot FROM samples WHERE run = runs.key"
		" ORDER BY sequence DESC LIMIT 1), end_wall = ?2 WHERE id = ?1 AND end_wall IS "
		"NULL",
		"si", held->id, clock_wall_usec());
}

void store_end_lost_held(struct db_tx *tx)
{
	db_tx_write(tx,
		"UPDATE runs SET end_boot = start_boot, end_wall = coalesce((SELECT wall FROM "
		"samples"
		" WHERE run = runs.key ORDER BY sequence DESC LIMIT 1), start_wall)"
		" WHERE kind <> 0 AND end_wall IS NULL AND (boot_id <> host_boot_id() OR NOT"
		" CASE kind WHEN 1 THEN EXISTS (SELECT 1 FROM containers c WHERE c.uid ="
		" container_uid AND c.name = container) WHEN 3 THEN EXISTS (SELECT 1 FROM volumes v"
		" WHERE v.uid = container_uid) ELSE EXISTS (SELECT 1 FROM tenants t"
		" WHERE t.uid = tenant_uid) END)",
		"");
}

/* --- loading --- */

static struct held *find(const struct model *model, enum ledger_kind kind, const char *tenant,
	const char *uid, const char *name)
{
	struct tenant *t = model_any_tenant(model, tenant);
	struct container *c = t ? model_any_container(t, name) : NULL;
	struct volume *v = t ? volume_any(t, name) : NULL;

	if (t && kind == LEDGER_TENANT)
		return &t->held;
	if (kind == LEDGER_CONTAINER && c && !strcmp(c->uid, uid))
		return &c->held;
	return kind == LEDGER_VOLUME && v && !strcmp(v->uid, uid) ? &v->held : NULL;
}

static void take_fills(void *arg, int id, uint64_t value)
{
	if (id == USAGE_HELD_FIRST + HELD_FILLS)
		((struct held *)arg)->fills = value;
}

static int load(sqlite3_stmt *row, void *arg, struct err *err)
{
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	struct held *held;

	db_column_text(row, 2, tenant, sizeof(tenant));
	db_column_text(row, 3, uid, sizeof(uid));
	db_column_text(row, 4, name, sizeof(name));
	held = find(arg, (enum ledger_kind)sqlite3_column_int(row, 1), tenant, uid, name);
	if (!held)
		return 0;
	db_column_text(row, 0, held->id, sizeof(held->id));
	memcpy(held->name, name, sizeof(held->name));
	held->sequence = db_column_u64(row, 5);
	held->begin_boot_usec = db_column_u64(row, 6);
	held->begin_wall_usec = sqlite3_column_int64(row, 7);
	held->sampled = true;
	if (sqlite3_column_type(row, 9) == SQLITE_NULL)
		return 0;
	return sample_unpack(db_column_u64(row, 8), sqlite3_column_blob(row, 9),
		       (size_t)sqlite3_column_bytes(row, 9), take_fills, held) == 0
		       ? 0
		       : err_set(err, ERR_DATA_LOSS, "SAMPLE_DAMAGED",
				 "a sample of what %s/%s holds is damaged; "
				 "restore the state from a backup",
				 tenant, name);
}

int store_load_held(struct db *db, struct model *model, struct err *err)
{
	return db_query(db,
		"SELECT r.id, r.kind, t.name, r.container_uid, r.container,"
		" coalesce(s.sequence, 0), r.start_boot, r.start_wall, s.ids, s.packed"
		" FROM runs r JOIN tenants t ON t.uid = r.tenant_uid"
		" LEFT JOIN samples s ON s.run = r.key AND s.sequence = (SELECT max(sequence) FROM"
		" samples WHERE run = r.key)"
		" WHERE r.kind <> 0 AND r.end_wall IS NULL AND r.boot_id = host_boot_id()",
		load, model, err, "");
}
