/*
 * Fills the model from the database when croftd starts; see store.h. What is still running is not
 * known here: that is the supervisor's to tell (reconcile.c).
 */
#include "base/cleanup.h"
#include "server/container_pending.h"
#include "server/health.h"
#include "server/init_args.h"
#include "server/limits_text.h"
#include "server/sample_pack.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"
#include "server/upkeep.h"

#include <string.h>

struct load {
	struct db *db;
	struct model *model;
	struct map by_uid; /* tenants, for the rows that refer to them */
};

struct tenant_by_uid {
	struct map_node node;
	struct tenant *tenant;
};

static int column_cpus(sqlite3_stmt *row, int column, uint64_t ret[static LIMITS_CPU_WORDS])
{
	char text[1024];

	db_column_text(row, column, text, sizeof(text));
	memset(ret, 0, LIMITS_CPU_WORDS * sizeof(*ret));
	return *text ? limits_parse_cores(text, ret) : 0;
}

static int damaged(const char *what, struct err *err)
{
	return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
		"the state database has a row that makes no sense: %s", what);
}

static struct tenant *find_by_uid(const struct load *load, const char *uid)
{
	struct map_node *node = map_find(&load->by_uid, uid);

	return node ? map_object(node, struct tenant_by_uid, node)->tenant : NULL;
}

static int load_tenant(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	char limits[LIMITS_TEXT_SIZE];
	char name[NAME_SIZE];
	struct tenant_by_uid *link;
	struct tenant *t;
	int r;

	db_column_text(row, 1, name, sizeof(name));
	if (!name_is_valid(name))
		return damaged("tenant", err);
	link = calloc(1, sizeof(*link));
	t = model_add_tenant(load->model, name);
	if (!t || !link) {
		free(link);
		return err_oom(err);
	}
	t->visible = true;
	db_column_text(row, 0, t->uid, sizeof(t->uid));
	link->tenant = t;
	map_insert(&load->by_uid, &link->node, t->uid);
	db_column_text(row, 2, t->plan, sizeof(t->plan));
	db_column_text(row, 3, t->account_ref, sizeof(t->account_ref));
	db_column_text(row, 4, limits, sizeof(limits));
	r = limits_text_read(limits, &t->limits, err);
	if (r < 0)
		return r;
	if (column_cpus(row, 5, t->cpus) < 0)
		return damaged("tenant's cores", err);
	db_column_text(row, 6, limits, sizeof(limits));
	r = limits_text_read_names(limits, &t->own_limits, err);
	if (r < 0)
		return r;
	t->created_wall_usec = sqlite3_column_int64(row, 7);
	t->nesting = sqlite3_column_int(row, 8);
	t->traffic_reset_day = (uint32_t)sqlite3_column_int(row, 9);
	return 0;
}

static int load_binding(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	char uid[UID_SIZE];
	struct tenant *t;

	db_column_text(row, 1, uid, sizeof(uid));
	t = find_by_uid(load, uid);
	if (!t)
		return damaged("user of no tenant", err);
	return model_bind(load->model, t, (uint32_t)sqlite3_column_int64(row, 0), err);
}

static int load_image(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	char name[NAME_SIZE];
	struct image *image;

	db_column_text(row, 1, name, sizeof(name));
	if (!name_is_valid(name))
		return damaged("image", err);
	image = model_add_image(load->model, name);
	if (!image)
		return err_oom(err);
	image->visible = true;
	db_column_text(row, 0, image->uid, sizeof(image->uid));
	db_column_text(row, 2, image->init, sizeof(image->init));
	image->stop_signal = (uint32_t)sqlite3_column_int(row, 3);
	image->size_bytes = db_column_u64(row, 4);
	image->entries = db_column_u64(row, 5);
	image->skipped_devices = db_column_u64(row, 6);
	image->created_wall_usec = sqlite3_column_int64(row, 7);
	if (sqlite3_column_bytes(row, 8) == 0)
		return 0;
	return image_config_parse(sqlite3_column_blob(row, 8), (size_t)sqlite3_column_bytes(row, 8),
		&image->app, err);
}

static int load_import(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	struct image *image;
	char name[NAME_SIZE];

	db_column_text(row, 0, name, sizeof(name));
	if (!name_is_valid(name) || model_any_image(load->model, name))
		return damaged("import of an image", err);
	image = model_add_image(load->model, name);
	if (!image)
		return err_oom(err);
	image->undone = true;
	return 0;
}

static int load_alias(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	struct image_alias *alias;
	char image[NAME_SIZE];
	char name[NAME_SIZE];

	db_column_text(row, 0, name, sizeof(name));
	db_column_text(row, 1, image, sizeof(image));
	if (!name_is_valid(name) || !model_any_image(load->model, image))
		return damaged("alias of an image", err);
	alias = model_add_alias(load->model, name);
	if (!alias)
		return err_oom(err);
	image_alias_move(alias, model_any_image(load->model, image));
	return 0;
}

static int load_container(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	char schedule[SCHEDULE_TEXT_SIZE];
	char health[HEALTH_TEXT_SIZE];
	char limits[LIMITS_TEXT_SIZE];
	char restart[16];
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	struct container *c;
	struct tenant *t;
	int r;

	db_column_text(row, 1, uid, sizeof(uid));
	db_column_text(row, 2, name, sizeof(name));
	t = find_by_uid(load, uid);
	if (!t || !name_is_valid(name))
		return damaged("container", err);
	c = model_add_container(t, name);
	if (!c)
		return err_oom(err);
	c->visible = true;
	c->stored = true;
	db_column_text(row, 0, c->uid, sizeof(c->uid));
	db_column_text(row, 3, c->image, sizeof(c->image));
	db_column_text(row, 4, c->policy, sizeof(c->policy));
	db_column_text(row, 5, limits, sizeof(limits));
	r = limits_text_read(limits, &c->limits, err);
	if (r < 0)
		return r;
	if (column_cpus(row, 6, c->cpus) < 0)
		return damaged("container's cores", err);
	r = init_args_read(sqlite3_column_blob(row, 7), (size_t)sqlite3_column_bytes(row, 7),
		&c->init_args, err);
	c->with_init = sqlite3_column_int(row, 8);
	c->ephemeral = sqlite3_column_int(row, 9);
	c->oom_group = sqlite3_column_int(row, 10);
	c->launching = sqlite3_column_int(row, 11);
	c->condemned = sqlite3_column_int(row, 12);
	c->created_wall_usec = sqlite3_column_int64(row, 13);
	db_column_text(row, 14, c->pending, sizeof(c->pending));
	if (!container_pending_is_valid(c->pending))
		return damaged("container's pending change", err);
	db_column_text(row, 15, schedule, sizeof(schedule));
	if (snapshot_schedule_parse(schedule, &c->schedule) < 0)
		return damaged("container's snapshot schedule", err);
	/* Held until that is done. */
	c->changing = c->pending[0];
	db_column_text(row, 16, restart, sizeof(restart));
	if (r == 0 && upkeep_restart_parse(restart, &c->upkeep.restart) < 0)
		return damaged("restart policy", err);
	c->upkeep.autostart = sqlite3_column_int(row, 17);
	c->upkeep.order = (uint32_t)sqlite3_column_int(row, 18);
	c->restart_due = sqlite3_column_int(row, 19);
	c->nesting = sqlite3_column_int(row, 20);
	db_column_text(row, 21, health, sizeof(health));
	if (health_parse(health, &c->health_check) < 0)
		return damaged("container's health check", err);
	c->upkeep.idle_s = (uint32_t)sqlite3_column_int(row, 22);
	c->kept_down = sqlite3_column_int(row, 23);
	return r;
}

static int load_own(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct load *load = arg;
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	struct container *c;
	struct tenant *t;

	db_column_text(row, 0, uid, sizeof(uid));
	db_column_text(row, 1, name, sizeof(name));
	t = find_by_uid(load, uid);
	c = t ? model_any_container(t, name) : NULL;
	if (!c)
		return damaged("container's own files", err);
	if (container_set_own(c, NULL, err) < 0)
		return -ENOMEM;
	db_column_text(row, 2, c->own->init, sizeof(c->own->init));
	c->own->stop_signal = (uint32_t)sqlite3_column_int(row, 3);
	if (sqlite3_column_bytes(row, 4) == 0)
		return 0;
	return image_config_parse(sqlite3_column_blob(row, 4), (size_t)sqlite3_column_bytes(row, 4),
		&c->own->app, err);
}

static int load_run(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct run *run = arg;

	(void)err;
	run->key = db_column_u64(row, 0);
	db_column_text(row, 1, run->id, sizeof(run->id));
	db_column_text(row, 2, run->boot_id, sizeof(run->boot_id));
	run->cgroup_inode = db_column_u64(row, 3);
	run->id_base = (uint32_t)sqlite3_column_int64(row, 4);
	run->stored = true;
	run->confirmed = sqlite3_column_type(row, 5) != SQLITE_NULL;
	run->start_boot_usec = db_column_u64(row, 5);
	run->start_wall_usec = sqlite3_column_int64(row, 6);
	run->end_boot_usec = db_column_u64(row, 7);
	run->end_wall_usec = sqlite3_column_int64(row, 8);
	run->exit = (enum run_exit)sqlite3_column_int(row, 9);
	run->exit_status = sqlite3_column_int(row, 10);
	run->exit_signal = sqlite3_column_int(row, 11);
	db_column_text(row, 12, run->end_note, sizeof(run->end_note));
	run->health = (enum health_state)sqlite3_column_int(row, 13);
	run->idle = db_column_u64(row, 14);
	store_read_reported((const char *)sqlite3_column_text(row, 15), run);
	run->kill_boot_usec = db_column_u64(row, 16);
	run->last.boot_usec = run->start_boot_usec;
	run->last.wall_usec = run->start_wall_usec;
	return 0;
}

#define RUN_COLUMNS                                                                                \
	"SELECT key, id, boot_id, cgroup_inode, id_base, start_boot, start_wall, end_boot,"        \
	" end_wall, exit_kind, exit_status, exit_signal, end_note, health, idle, told,"            \
	" kill_boot FROM runs "

static void take_counter(void *arg, int id, uint64_t value)
{
	/* A counter that this program does not know was written by a later one; it stays. */
	usage_counter_set(arg, id, value);
}

/* Columns: ids, packed. */
static int unpack_counters(
	sqlite3_stmt *row, int column, struct counters *counters, struct err *err)
{
	if (sample_unpack(db_column_u64(row, column), sqlite3_column_blob(row, column + 1),
		    (size_t)sqlite3_column_bytes(row, column + 1), take_counter, counters) < 0)
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"a sample in the state database is damaged; restore it from a backup");
	return 0;
}

static int load_sample(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct usage_point *point = arg;

	point->sequence = db_column_u64(row, 0);
	point->boot_usec = db_column_u64(row, 1);
	point->wall_usec = sqlite3_column_int64(row, 2);
	return unpack_counters(row, 3, &point->counters, err);
}

/* Of what else that sample has nothing is taken. */
static int load_net(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct counters *counters = arg;
	struct counters all = {0};
	int r = unpack_counters(row, 0, &all, err);

	counters->has_net = 1;
	counters->net = all.net;
	return r;
}

/* The last one that has any, which may be older than the last sample; and the first. */
static int load_traffic(struct db *db, struct run *run, struct err *err)
{
	const uint64_t mark = UINT64_C(1) << USAGE_NET_FIRST;
	struct counters base = {0};
	int r = db_query(db,
		"SELECT ids, packed FROM samples WHERE run=?1 AND sequence=0 AND ids & ?2",
		load_net, &base, err, "uu", run->key, mark);

	run->net_base = (struct net_base){.valid = base.has_net, .usage = base.net};
	if (r < 0 || !base.has_net)
		return r;
	return db_query(db,
		"SELECT ids, packed FROM samples WHERE run=?1 AND ids & ?2"
		" ORDER BY sequence DESC LIMIT 1",
		load_net, &run->last.counters, err, "uu", run->key, mark);
}

int store_load_last_sample(struct db *db, struct run *run, struct err *err)
{
	int r = db_query(db,
		"SELECT sequence, boot, wall, ids, packed FROM samples WHERE run=?1"
		" ORDER BY sequence DESC LIMIT 1",
		load_sample, &run->last, err, "u", run->key);

	return r < 0 ? r : load_traffic(db, run, err);
}

static struct net_traffic column_traffic(sqlite3_stmt *row, int column)
{
	return (struct net_traffic){db_column_u64(row, column), db_column_u64(row, column + 1)};
}

static int load_totals_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct usage_totals *t = arg;

	(void)err;
	t->cpu_usec = db_column_u64(row, 0);
	t->throttled_usec = db_column_u64(row, 1);
	t->memory_kib_usec = (unsigned __int128)db_column_u64(row, 2) << 64 | db_column_u64(row, 3);
	t->memory_peak_bytes = db_column_u64(row, 4);
	t->pids_peak = db_column_u64(row, 5);
	t->pids_denied = db_column_u64(row, 6);
	t->oom_kills = db_column_u64(row, 7);
	t->memory_at_limit = db_column_u64(row, 8);
	t->running_usec = db_column_u64(row, 9);
	t->runs = db_column_u64(row, 10);
	t->net.all_in = column_traffic(row, 11);
	t->net.all_out = column_traffic(row, 13);
	t->net.outside_in = column_traffic(row, 15);
	t->net.outside_out = column_traffic(row, 17);
	t->io.read_bytes = db_column_u64(row, 19);
	t->io.read_ops = db_column_u64(row, 20);
	t->io.write_bytes = db_column_u64(row, 21);
	t->io.write_ops = db_column_u64(row, 22);
	t->cpu_user_usec = db_column_u64(row, 23);
	t->cpu_system_usec = db_column_u64(row, 24);
	return 0;
}

static int load_totals(struct db *db, const char *uid, struct usage_totals *ret, struct err *err)
{
	return db_query(db,
		"SELECT cpu, throttled, memory_high, memory_low, memory_peak, pids_peak,"
		" pids_denied, oom_kills, at_limit, running, runs, net_in, net_in_packets,"
		" net_out, net_out_packets, net_outside_in, net_outside_in_packets,"
		" net_outside_out, net_outside_out_packets, io_read, io_read_ops, io_write,"
		" io_write_ops, cpu_user, cpu_system FROM totals WHERE uid=?1",
		load_totals_row, ret, err, "s", uid);
}

static int load_past_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct past *past = arg;

	(void)err;
	db_column_text(row, 0, past->container_uid, sizeof(past->container_uid));
	db_column_text(row, 1, past->container, sizeof(past->container));
	past->end_wall_usec = sqlite3_column_int64(row, 2);
	return 0;
}

int store_load_past(struct db *db, struct past *past, struct err *err)
{
	int r;

	if (past->container_uid[0])
		r = db_query(db,
			"SELECT container_uid, container, end_wall FROM runs WHERE tenant_uid=?1"
			" AND container_uid=?2 AND kind=0 AND end_wall IS NOT NULL ORDER BY key "
			"DESC"
			" LIMIT 1",
			load_past_row, past, err, "ss", past->tenant_uid, past->container_uid);
	else
		r = db_query(db,
			"SELECT container_uid, container, end_wall FROM runs WHERE tenant_uid=?1"
			" AND container=?2 AND kind=0 AND end_wall IS NOT NULL ORDER BY key DESC"
			" LIMIT 1",
			load_past_row, past, err, "ss", past->tenant_uid, past->container);
	if (r < 0 || !past->end_wall_usec)
		return r;
	return load_totals(db, past->container_uid, &past->totals, err);
}

static int load_container_usage(struct db *db, struct container *c, struct err *err)
{
	int r = db_query(db,
		RUN_COLUMNS "WHERE container_uid=?1 AND kind=0 ORDER BY key DESC LIMIT 1", load_run,
		&c->run, err, "s", c->uid);

	if (r == 0 && c->run.key && !c->run.end_wall_usec)
		r = store_load_last_sample(db, &c->run, err);
	if (r == 0)
		r = load_totals(db, c->uid, &c->totals, err);
	return r;
}

/* The latest comes first. */
static int load_traffic_period(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct allowance *a = arg;
	struct allowance_period *p = a->now.start_wall_usec ? &a->before : &a->now;

	(void)err;
	p->start_wall_usec = sqlite3_column_int64(row, 0);
	p->end_wall_usec = sqlite3_column_int64(row, 1);
	p->in_base = db_column_u64(row, 2);
	p->out_base = db_column_u64(row, 3);
	p->told = (unsigned)sqlite3_column_int(row, 4);
	p->slowed_rate = db_column_u64(row, 5);
	return 0;
}

static int load_tenant_usage(struct db *db, struct tenant *t, struct err *err)
{
	char own[OWN_UID_SIZE];
	int r = db_query(db,
		RUN_COLUMNS "WHERE tenant_uid=?1 AND container_uid='' AND kind=5"
			    " AND end_wall IS NULL ORDER BY key DESC LIMIT 1",
		load_run, &t->own, err, "s", t->uid);

	if (r == 0 && t->own.key)
		r = store_load_last_sample(db, &t->own, err);
	if (r == 0)
		r = db_query(db,
			RUN_COLUMNS "WHERE tenant_uid=?1 AND container_uid='' AND kind=4"
				    " AND end_wall IS NULL ORDER BY key DESC LIMIT 1",
			load_run, &t->work, err, "s", t->uid);
	if (r == 0 && t->work.key)
		r = store_load_last_sample(db, &t->work, err);
	if (r == 0)
		r = load_totals(db, t->uid, &t->totals, err);
	if (r == 0)
		r = load_totals(db, store_own_uid(t, own), &t->own_totals, err);
	if (r == 0)
		r = db_query(db,
			"SELECT start_wall, end_wall, in_base, out_base, told, slowed_rate"
			" FROM traffic_periods WHERE tenant_uid=?1 ORDER BY start_wall DESC"
			" LIMIT 2",
			load_traffic_period, &t->allowance, err, "s", t->uid);
	return r;
}

static int load_usage(struct load *load, struct err *err)
{
	struct container *c = NULL;
	struct map_node *node;
	int r = 0;

	MAP_FOREACH(node, &load->model->tenants)
	{
		r = load_tenant_usage(load->db, map_object(node, struct tenant, by_name), err);
		if (r < 0)
			return r;
	}
	while (r == 0 && (c = model_next_container(load->model, c)))
		r = load_container_usage(load->db, c, err);
	return r;
}

static int load_next_key(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0) + 1;
	return 0;
}

int store_load(struct db *db, struct model *model, uint64_t *ret_next_run_key, struct err *err)
{
	struct load load = {.db = db, .model = model};
	struct map_node *node;
	int r = store_load_plans(db, model, err);

	if (r == 0)
		r = db_query(db,
			"SELECT uid, name, plan, account_ref, limits, cpus, own_limits,"
			" created_wall, nesting, traffic_reset_day FROM tenants",
			load_tenant, &load, err, "");
	if (r == 0)
		r = store_load_holds(db, model, err);
	if (r == 0)
		r = db_query(db, "SELECT uid, tenant_uid FROM tenant_uids ORDER BY uid",
			load_binding, &load, err, "");
	if (r == 0)
		r = db_query(db,
			"SELECT uid, name, init, stop_signal, size_bytes, entries,"
			" skipped_devices, created_wall, config FROM images",
			load_image, &load, err, "");
	if (r == 0)
		r = db_query(db,
			"SELECT alias, name FROM image_aliases JOIN images ON uid=image_uid",
			load_alias, &load, err, "");
	if (r == 0)
		r = db_query(db, "SELECT image FROM imports", load_import, &load, err, "");
	if (r == 0)
		r = db_query(db,
			"SELECT uid, tenant_uid, name, image, policy, limits, cpus, init_args,"
			" with_init, ephemeral, oom_group, launching, deleting, created_wall,"
			" pending, schedule, restart, autostart, start_order, restart_due,"
			" nesting, health, idle_freeze, kept_down FROM containers",
			load_container, &load, err, "");
	if (r == 0)
		r = db_query(db,
			"SELECT tenant_uid, name, init, stop_signal, config FROM container_own"
			" JOIN containers ON uid=container_uid",
			load_own, &load, err, "");
	if (r == 0)
		r = store_load_snapshots(db, model, err);
	if (r == 0)
		r = store_load_networks(db, model, err);
	if (r == 0)
		r = store_load_volumes(db, model, err);
	if (r == 0)
		r = store_load_held(db, model, err);
	if (r == 0)
		r = store_load_cloud_init(db, model, err);
	if (r == 0)
		r = load_usage(&load, err);
	if (r == 0)
		r = db_query(db,
			"SELECT coalesce(max(key), 0) FROM runs WHERE key < " STORE_HELD_KEYS,
			load_next_key, ret_next_run_key, err, "");
	while ((node = map_after(&load.by_uid, ""))) {
		map_remove(&load.by_uid, node);
		free(map_object(node, struct tenant_by_uid, node));
	}
	return r < 0 ? err_wrap(err, r, "read the state") : 0;
}

static int take_setting(sqlite3_stmt *row, void *arg, struct err *err)
{
	char **out = arg;

	(void)err;
	*out = strdup((const char *)sqlite3_column_text(row, 0));
	return *out ? 0 : err_oom(err);
}

int store_load_setting(struct db *db, const char *key, char *out, size_t size, struct err *err)
{
	_cleanup_free_ char *value = NULL;
	int r = db_query(
		db, "SELECT value FROM settings WHERE key=?1", take_setting, &value, err, "s", key);

	if (r == 0)
		snprintf(out, size, "%s", value ? value : "");
	return r;
}
