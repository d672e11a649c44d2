/* Statements on snapshots, and their rows at start; see store.h. */
#include "server/init_args.h"
#include "server/limits_text.h"
#include "server/snapshot.h"
#include "server/store.h"

#include <string.h>

void store_put_snapshot(struct db_tx *tx, const struct snapshot *s)
{
	uint8_t args[INIT_ARGS_BYTES_MAX];
	char limits[LIMITS_TEXT_SIZE];
	size_t args_size = init_args_write(s->init_args, args);

	if (s->container->row_gone)
		return;
	db_tx_write(tx,
		"INSERT INTO snapshots (uid, container_uid, name, state, size_bytes, created_wall,"
		" image, policy, limits, init_args, with_init, oom_group, automatic, expire_wall)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
		" ON CONFLICT (uid) DO UPDATE SET state=?4, size_bytes=?5",
		"sssduisssbdddi", s->uid, s->container->uid, s->name,
		(int)(s->visible && !s->dropping), s->size_bytes, s->created_wall_usec, s->image,
		s->policy, limits_text_write(&s->limits, limits), (const void *)args, args_size,
		(int)s->with_init, (int)s->oom_group, (int)s->automatic, s->expire_wall_usec);
}

void store_delete_snapshot(struct db_tx *tx, const struct snapshot *s)
{
	db_tx_write(tx, "DELETE FROM snapshots WHERE uid=?1", "s", s->uid);
}

static struct container *find_container(const struct model *model, const char *uid)
{
	struct container *c = NULL;

	while ((c = model_next_container(model, c)))
		if (!strcmp(c->uid, uid))
			return c;
	return NULL;
}

struct load {
	const struct model *model;
	struct container *last; /* rows come container by container */
};

static int damaged(struct err *err)
{
	return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
		"the state database has a row that makes no sense: snapshot");
}

static int fill(sqlite3_stmt *row, struct snapshot *s, struct err *err)
{
	char limits[LIMITS_TEXT_SIZE];
	int r;

	db_column_text(row, 0, s->uid, sizeof(s->uid));
	/* Half made or half removed: it goes as soon as there is a supervisor. */
	s->visible = sqlite3_column_int(row, 3);
	s->dropping = !s->visible;
	s->size_bytes = db_column_u64(row, 4);
	s->created_wall_usec = sqlite3_column_int64(row, 5);
	db_column_text(row, 6, s->image, sizeof(s->image));
	db_column_text(row, 7, s->policy, sizeof(s->policy));
	db_column_text(row, 8, limits, sizeof(limits));
	r = limits_text_read(limits, &s->limits, err);
	if (r == 0)
		r = init_args_read(sqlite3_column_blob(row, 9),
			(size_t)sqlite3_column_bytes(row, 9), &s->init_args, err);
	s->with_init = sqlite3_column_int(row, 10);
	s->oom_group = sqlite3_column_int(row, 11);
	s->automatic = sqlite3_column_int(row, 12);
	s->expire_wall_usec = sqlite3_column_int64(row, 13);
	return r;
}

static int load_snapshot(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	struct snapshot *s;

	db_column_text(row, 1, uid, sizeof(uid));
	db_column_text(row, 2, name, sizeof(name));
	if (!load->last || strcmp(load->last->uid, uid) != 0)
		load->last = find_container(load->model, uid);
	if (!load->last || !name_is_valid(name))
		return damaged(err);
	s = snapshot_add(load->last, name);
	return s ? fill(row, s, err) : err_oom(err);
}

int store_load_snapshots(struct db *db, struct model *model, struct err *err)
{
	struct load load = {.model = model};

	return db_query(db,
		"SELECT uid, container_uid, name, state, size_bytes, created_wall, image, policy,"
		" limits, init_args, with_init, oom_group, automatic, expire_wall FROM snapshots "
		"ORDER BY container_uid",
		load_snapshot, &load, err, "");
}
