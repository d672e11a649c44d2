/* Statements on tenants, their users, images and settings; see store.h. */
#include "base/cleanup.h"
#include "base/wire.h"
#include "server/held.h"
#include "server/limits_text.h"
#include "server/store.h"

#define CPUS_TEXT_SIZE 1024

void store_put_tenant(struct db_tx *tx, const struct tenant *t)
{
	char limits[LIMITS_TEXT_SIZE];
	char own[LIMITS_TEXT_SIZE];
	char cpus[CPUS_TEXT_SIZE];

	db_tx_write(tx,
		"INSERT INTO tenants (uid, name, plan, account_ref, limits, cpus, own_limits,"
		" created_wall, nesting, traffic_reset_day)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
		" ON CONFLICT (uid) DO UPDATE SET plan=?3, account_ref=?4, limits=?5, cpus=?6,"
		" own_limits=?7, nesting=?9, traffic_reset_day=?10",
		"sssssssidi", t->uid, t->name, t->plan, t->account_ref,
		limits_text_write(&t->limits, limits),
		limits_format_cores(t->cpus, cpus, sizeof(cpus)),
		limits_text_write_names(t->own_limits, own), t->created_wall_usec, (int)t->nesting,
		(int64_t)t->traffic_reset_day);
	store_put_tenant_terms(tx, t->uid);
}

void store_delete_tenant(struct db_tx *tx, struct tenant *t)
{
	held_end_tenant(tx, t);
	db_tx_write(tx, "DELETE FROM tenants WHERE uid=?1", "s", t->uid);
}

/* What was before the one before is no longer asked for. */
void store_put_traffic_period(struct db_tx *tx, const struct tenant *t)
{
	const struct allowance_period *p = &t->allowance.now;

	db_tx_write(tx,
		"DELETE FROM traffic_periods WHERE tenant_uid=?1 AND (start_wall>?2 OR "
		"start_wall<?3)",
		"sii", t->uid, p->start_wall_usec, t->allowance.before.start_wall_usec);
	db_tx_write(tx,
		"INSERT OR REPLACE INTO traffic_periods (tenant_uid, start_wall, end_wall, in_base,"
		" out_base, told, slowed_rate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		"siiuuiu", t->uid, p->start_wall_usec, p->end_wall_usec, p->in_base, p->out_base,
		(int64_t)p->told, p->slowed_rate);
}

void store_bind(struct db_tx *tx, const struct tenant *t, uint32_t uid)
{
	db_tx_write(tx, "INSERT INTO tenant_uids (uid, tenant_uid) VALUES (?1, ?2)", "is",
		(int64_t)uid, t->uid);
}

void store_put_image(struct db_tx *tx, const struct image *image)
{
	_cleanup_(wire_writer_finish) struct wire_writer app;

	wire_writer_init(&app, IMAGE_CONFIG_BYTES_MAX);
	if (image->app)
		image_config_write(image->app, &app);
	db_tx_write(tx,
		"INSERT INTO images (uid, name, init, stop_signal, size_bytes, entries,"
		" skipped_devices, created_wall, config)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
		"sssiuuuib", image->uid, image->name, image->init, (int64_t)image->stop_signal,
		image->size_bytes, image->entries, image->skipped_devices, image->created_wall_usec,
		(const void *)(app.data ? app.data : (const uint8_t *)""), app.size);
}

void store_delete_image(struct db_tx *tx, const struct image *image)
{
	db_tx_write(tx, "DELETE FROM images WHERE uid=?1", "s", image->uid);
}

void store_put_alias(struct db_tx *tx, const char *alias, const struct image *image)
{
	db_tx_write(tx,
		"INSERT INTO image_aliases (alias, image_uid) VALUES (?1, ?2)"
		" ON CONFLICT (alias) DO UPDATE SET image_uid=?2",
		"ss", alias, image->uid);
}

void store_delete_alias(struct db_tx *tx, const char *alias)
{
	db_tx_write(tx, "DELETE FROM image_aliases WHERE alias=?1", "s", alias);
}

void store_put_import(struct db_tx *tx, const char *image)
{
	db_tx_write(tx, "INSERT OR REPLACE INTO imports (image) VALUES (?1)", "s", image);
}

void store_delete_import(struct db_tx *tx, const char *image)
{
	db_tx_write(tx, "DELETE FROM imports WHERE image=?1", "s", image);
}

void store_setting(struct db_tx *tx, const char *key, const char *value)
{
	db_tx_write(tx,
		"INSERT INTO settings (key, value) VALUES (?1, ?2)"
		" ON CONFLICT (key) DO UPDATE SET value=?2",
		"ss", key, value);
}
