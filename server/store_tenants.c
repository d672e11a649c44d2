/* Statements on tenants, their users, images and settings; see store.h. */
#include "base/cleanup.h"
#include "base/wire.h"
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
		" suspended, suspend_reason, created_wall, nesting)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
		" ON CONFLICT (uid) DO UPDATE SET plan=?3, account_ref=?4, limits=?5, cpus=?6,"
		" own_limits=?7, suspended=?8, suspend_reason=?9, nesting=?11",
		"sssssssdsid", t->uid, t->name, t->plan, t->account_ref,
		limits_text_write(&t->limits, limits),
		limits_format_cores(t->cpus, cpus, sizeof(cpus)),
		limits_text_write_names(t->own_limits, own), (int)t->suspended, t->suspend_reason,
		t->created_wall_usec, (int)t->nesting);
}

void store_delete_tenant(struct db_tx *tx, const struct tenant *t)
{
	db_tx_write(tx, "DELETE FROM tenants WHERE uid=?1", "s", t->uid);
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
