/* Statements on volumes and on what containers have mounted, and their loading; see store.h. */
#include "server/held.h"
#include "server/store.h"
#include "server/volume.h"

#include <string.h>

void store_put_volume(struct db_tx *tx, const struct volume *v)
{
	db_tx_write(tx,
		"INSERT INTO volumes (uid, tenant_uid, name, state, size_bytes, created_wall)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		" ON CONFLICT (uid) DO UPDATE SET state=?4, size_bytes=?5",
		"sssdui", v->uid, v->tenant->uid, v->name, (int)(v->visible && !v->dropping),
		v->size_bytes, v->created_wall_usec);
}

void store_delete_volume(struct db_tx *tx, struct volume *v)
{
	held_end_volume(tx, v);
	db_tx_write(tx, "DELETE FROM volumes WHERE uid=?1", "s", v->uid);
}

void store_add_mount(
	struct db_tx *tx, const struct container *c, const struct container_mount *mount)
{
	db_tx_write(tx,
		"INSERT INTO container_mounts (container_uid, path, volume_uid, host_directory,"
		" read_only) VALUES (?1, ?2, ?3, ?4, ?5)",
		"ssssd", c->uid, mount->path, mount->volume ? mount->volume->uid : NULL,
		mount->volume ? NULL : mount->host_dir, (int)mount->read_only);
}

void store_delete_mount(
	struct db_tx *tx, const struct container *c, const struct container_mount *mount)
{
	db_tx_write(tx, "DELETE FROM container_mounts WHERE container_uid=?1 AND path=?2", "ss",
		c->uid, mount->path);
}

static int damaged(const char *what, struct err *err)
{
	return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
		"the state database has a row that makes no sense: %s", what);
}

static int load_volume(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct model *model = arg;
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
	struct volume *v;
	struct tenant *t;

	db_column_text(row, 0, tenant, sizeof(tenant));
	db_column_text(row, 2, name, sizeof(name));
	t = model_any_tenant(model, tenant);
	if (!t || !name_is_valid(name))
		return damaged("volume", err);
	v = volume_add(t, name);
	if (!v)
		return err_oom(err);
	db_column_text(row, 1, v->uid, sizeof(v->uid));
	/* Half made or half removed: it goes as soon as there is a supervisor. */
	v->visible = sqlite3_column_int(row, 3);
	v->dropping = !v->visible;
	v->size_bytes = db_column_u64(row, 4);
	v->created_wall_usec = sqlite3_column_int64(row, 5);
	return 0;
}

static int load_mount(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct container_mount mount = {0};
	struct model *model = arg;
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
	struct container *c;
	struct tenant *t;

	db_column_text(row, 0, tenant, sizeof(tenant));
	db_column_text(row, 1, name, sizeof(name));
	t = model_any_tenant(model, tenant);
	c = t ? model_any_container(t, name) : NULL;
	db_column_text(row, 2, mount.path, sizeof(mount.path));
	db_column_text(row, 3, name, sizeof(name));
	db_column_text(row, 4, mount.host_dir, sizeof(mount.host_dir));
	mount.read_only = sqlite3_column_int(row, 5);
	if (c && name[0])
		mount.volume = volume_any(t, name);
	if (!c || c->n_mounts == CONTAINER_MOUNTS_MAX || mount_path_check(mount.path, err) < 0 ||
		(!mount.volume && !name_is_valid(mount.host_dir)))
		return damaged("mount of a container", err);
	container_mount_add(c, &mount);
	return 0;
}

int store_load_volumes(struct db *db, struct model *model, struct err *err)
{
	int r = db_query(db,
		"SELECT t.name, v.uid, v.name, v.state, v.size_bytes, v.created_wall"
		" FROM volumes v JOIN tenants t ON t.uid = v.tenant_uid",
		load_volume, model, err, "");

	if (r == 0)
		r = db_query(db,
			"SELECT t.name, c.name, m.path, v.name, m.host_directory, m.read_only"
			" FROM container_mounts m JOIN containers c ON c.uid = m.container_uid"
			" JOIN tenants t ON t.uid = c.tenant_uid"
			" LEFT JOIN volumes v ON v.uid = m.volume_uid",
			load_mount, model, err, "");
	return r;
}
