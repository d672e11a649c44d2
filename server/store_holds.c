/* Statements on holds; see store.h. */
#include "server/hold.h"
#include "server/store.h"

#include <inttypes.h>
#include <stdio.h>

void store_put_hold(struct db_tx *tx, const struct tenant *t, enum hold_type type)
{
	const struct hold *hold = &t->holds[type];
	char grace[24] = "";

	if (hold->grace_s != HOLD_GRACE_NEVER)
		snprintf(grace, sizeof(grace), "%" PRId64, hold->grace_s);
	db_tx_write(tx,
		"INSERT INTO holds (tenant_uid, type, reason, told, set_by, set_wall, grace)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, ''))"
		" ON CONFLICT (tenant_uid, type) DO UPDATE SET reason=?3, told=?4, set_by=?5,"
		" set_wall=?6, grace=nullif(?7, '')",
		"sssdsis", t->uid, hold_name(type), hold->reason, (int)hold->told, hold->set_by,
		hold->set_wall_usec, grace);
}

void store_delete_hold(struct db_tx *tx, const struct tenant *t, enum hold_type type)
{
	db_tx_write(tx, "DELETE FROM holds WHERE tenant_uid=?1 AND type=?2", "ss", t->uid,
		hold_name(type));
}

void store_release_held(struct db_tx *tx, const struct tenant *t)
{
	db_tx_write(tx,
		"UPDATE containers SET kept_down=0, restart_due=1 WHERE tenant_uid=?1 AND "
		"kept_down=1",
		"s", t->uid);
}

static int load_hold(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct model *model = arg;
	enum hold_type type;
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
	struct tenant *t;
	struct hold *hold;

	db_column_text(row, 0, tenant, sizeof(tenant));
	db_column_text(row, 1, name, sizeof(name));
	t = model_any_tenant(model, tenant);
	if (!t || hold_parse(name, &type) < 0)
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"a hold in the state database is damaged; restore it from a backup");
	hold = &t->holds[type];
	hold->set = true;
	db_column_text(row, 2, hold->reason, sizeof(hold->reason));
	hold->told = sqlite3_column_int(row, 3);
	db_column_text(row, 4, hold->set_by, sizeof(hold->set_by));
	hold->set_wall_usec = sqlite3_column_int64(row, 5);
	hold->grace_s = HOLD_GRACE_NEVER;
	if (sqlite3_column_type(row, 6) != SQLITE_NULL)
		hold->grace_s = sqlite3_column_int64(row, 6);
	hold_refresh(t);
	return 0;
}

int store_load_holds(struct db *db, struct model *model, struct err *err)
{
	return db_query(db,
		"SELECT name, type, reason, told, set_by, set_wall, grace FROM holds"
		" JOIN tenants ON uid = tenant_uid",
		load_hold, model, err, "");
}
