/* Statements on plans, and what makes `default`; see store.h. */
#include "server/limits_text.h"
#include "server/plan.h"
#include "server/store.h"

#include <string.h>

void store_put_plan(struct db_tx *tx, const struct plan *plan)
{
	char limits[LIMITS_TEXT_SIZE];

	db_tx_write(tx,
		"INSERT INTO plans (uid, name, limits, created_wall) VALUES (?1, ?2, ?3, ?4)"
		" ON CONFLICT (uid) DO UPDATE SET limits=?3",
		"sssi", plan->uid, plan->name, limits_text_write(&plan->limits, limits),
		plan->created_wall_usec);
}

void store_delete_plan(struct db_tx *tx, const struct plan *plan)
{
	db_tx_write(tx, "DELETE FROM plans WHERE uid=?1", "s", plan->uid);
}

static int load_plan(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct model *model = arg;
	char limits[LIMITS_TEXT_SIZE];
	char name[NAME_SIZE];
	struct plan *plan;

	db_column_text(row, 1, name, sizeof(name));
	if (!name_is_valid(name))
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database has a row that makes no sense: plan");
	plan = plan_add(model, name);
	if (!plan)
		return err_oom(err);
	plan->visible = true;
	db_column_text(row, 0, plan->uid, sizeof(plan->uid));
	db_column_text(row, 2, limits, sizeof(limits));
	plan->created_wall_usec = sqlite3_column_int64(row, 3);
	return limits_text_read(limits, &plan->limits, err);
}

/* On the first start, and after an upgrade from a croftd that had no plans. */
static int make_default(struct db *db, struct model *model, struct err *err)
{
	struct plan *plan = plan_add(model, PLAN_DEFAULT);
	char limits[LIMITS_TEXT_SIZE];

	if (!plan)
		return err_oom(err);
	limits_init_tenant_default(&plan->limits);
	plan->created_wall_usec = clock_wall_usec();
	plan->visible = true;
	return db_query(db,
		"INSERT INTO plans (uid, name, limits, created_wall) VALUES (?1, ?2, ?3, ?4)", NULL,
		NULL, err, "sssi", plan->uid, plan->name, limits_text_write(&plan->limits, limits),
		plan->created_wall_usec);
}

int store_load_plans(struct db *db, struct model *model, struct err *err)
{
	int r = db_query(
		db, "SELECT uid, name, limits, created_wall FROM plans", load_plan, model, err, "");

	return r == 0 && !plan_any(model, PLAN_DEFAULT) ? make_default(db, model, err) : r;
}
