/* Statements on containers' data for cloud-init, and their loading; see store.h. */
#include "server/cloud_init.h"
#include "server/store.h"

void store_put_cloud_init(struct db_tx *tx, const struct container *c)
{
	const struct cloud_bytes *p;

	/* As the container's own row: its data went with it, and come back no more than it. */
	if (c->row_gone)
		return;
	if (!c->cloud_init) {
		db_tx_write(
			tx, "DELETE FROM container_cloud_init WHERE container_uid=?1", "s", c->uid);
		return;
	}
	p = c->cloud_init->parts;
	db_tx_write(tx,
		"INSERT INTO container_cloud_init (container_uid, instance_id, user_data,"
		" meta_data, network_config, ssh_keys) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		" ON CONFLICT (container_uid) DO UPDATE SET instance_id=?2, user_data=?3,"
		" meta_data=?4, network_config=?5, ssh_keys=?6",
		"ssbbbb", c->uid, c->cloud_id, (const void *)p[CLOUD_USER_DATA].data,
		p[CLOUD_USER_DATA].size, (const void *)p[CLOUD_META_DATA].data,
		p[CLOUD_META_DATA].size, (const void *)p[CLOUD_NETWORK_CONFIG].data,
		p[CLOUD_NETWORK_CONFIG].size, (const void *)p[CLOUD_KEYS].data, p[CLOUD_KEYS].size);
}

static int load(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct cloud_bytes parts[CLOUD_PART_N];
	struct model *model = arg;
	char name[NAME_SIZE];
	size_t size = 0;
	struct container *c;
	struct tenant *t;

	db_column_text(row, 0, name, sizeof(name));
	t = model_any_tenant(model, name);
	db_column_text(row, 1, name, sizeof(name));
	c = t ? model_any_container(t, name) : NULL;
	for (int i = 0; i < CLOUD_PART_N; i++) {
		parts[i].data = (uint8_t *)sqlite3_column_blob(row, 3 + i);
		parts[i].size = (size_t)sqlite3_column_bytes(row, 3 + i);
		size += parts[i].size;
	}
	if (!c || c->cloud_init || size > CLOUD_INIT_BYTES_MAX ||
		(parts[CLOUD_KEYS].size && parts[CLOUD_KEYS].data[parts[CLOUD_KEYS].size - 1]) ||
		cloud_init_count_keys(&parts[CLOUD_KEYS]) > CLOUD_INIT_KEYS_MAX)
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database has a row that makes no sense: data for cloud-init");
	db_column_text(row, 2, c->cloud_id, sizeof(c->cloud_id));
	return cloud_init_make(parts, &c->cloud_init, err);
}

int store_load_cloud_init(struct db *db, struct model *model, struct err *err)
{
	return db_query(db,
		"SELECT t.name, c.name, i.instance_id, i.user_data, i.meta_data, i.network_config,"
		" i.ssh_keys FROM container_cloud_init i"
		" JOIN containers c ON c.uid = i.container_uid"
		" JOIN tenants t ON t.uid = c.tenant_uid",
		load, model, err, "");
}
