/* Statements on containers and their runs; see store.h. */
#include "base/cleanup.h"
#include "server/health.h"
#include "server/held.h"
#include "server/init_args.h"
#include "server/ledger_meters.h"
#include "server/limits_text.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"
#include "server/upkeep.h"

#include <stdio.h>

#define CPUS_TEXT_SIZE 1024

void store_put_container(struct db_tx *tx, const struct container *c)
{
	uint8_t args[INIT_ARGS_BYTES_MAX];
	char limits[LIMITS_TEXT_SIZE];
	char cpus[CPUS_TEXT_SIZE];
	char schedule[SCHEDULE_TEXT_SIZE];
	char health[HEALTH_TEXT_SIZE];
	size_t args_size = init_args_write(c->init_args, args);

	/* Whatever was under way when it was deleted must not bring its row back: its name would be
	   taken by something that nobody can see. */
	if (c->row_gone)
		return;
	db_tx_write(tx,
		"INSERT INTO containers (uid, tenant_uid, name, image, policy, limits, cpus,"
		" init_args, with_init, ephemeral, oom_group, launching, deleting, created_wall,"
		" pending, schedule, restart, autostart, start_order, restart_due,"
		" nesting, health, idle_freeze, kept_down)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)"
		" ON CONFLICT (uid) DO UPDATE SET name=?3, image=?4, policy=?5, limits=?6, cpus=?7,"
		" init_args=?8, with_init=?9, oom_group=?11, launching=?12, deleting=?13,"
		" pending=?15, schedule=?16, restart=?17, autostart=?18, start_order=?19,"
		" restart_due=?20, health=?22, idle_freeze=?23, kept_down=?24",
		"sssssssbdddddisssddddsdd", c->uid, c->tenant->uid, c->name, c->image, c->policy,
		limits_text_write(&c->limits, limits),
		limits_format_cores(c->cpus, cpus, sizeof(cpus)), (const void *)args, args_size,
		(int)c->with_init, (int)c->ephemeral, (int)c->oom_group, (int)c->launching,
		(int)(c->state == CONTAINER_DELETING || c->condemned), c->created_wall_usec,
		c->pending, snapshot_schedule_write(&c->schedule, schedule),
		upkeep_restart_name(c->upkeep.restart), (int)c->upkeep.autostart,
		(int)c->upkeep.order, (int)c->restart_due, (int)c->nesting,
		health_write(&c->health_check, health), (int)c->upkeep.idle_s, (int)c->kept_down);
	store_put_place(tx, c);
	store_put_container_terms(tx, c->uid);
}

void store_put_cores(struct db_tx *tx, const struct container *c)
{
	char cpus[CPUS_TEXT_SIZE];

	db_tx_write(tx, "UPDATE containers SET cpus=?2 WHERE uid=?1", "ss", c->uid,
		limits_format_cores(c->cpus, cpus, sizeof(cpus)));
}

void store_delete_container(struct db_tx *tx, struct container *c)
{
	held_end_container(tx, c);
	c->row_gone = true;
	/* Its totals stay: they are its tenant's past. */
	db_tx_write(tx, "DELETE FROM snapshots WHERE container_uid=?1", "s", c->uid);
	db_tx_write(tx, "DELETE FROM containers WHERE uid=?1", "s", c->uid);
}

void store_put_own(struct db_tx *tx, const struct container *c)
{
	_cleanup_(wire_writer_finish) struct wire_writer app;

	if (c->row_gone)
		return;
	wire_writer_init(&app, IMAGE_CONFIG_BYTES_MAX);
	if (c->own->app)
		image_config_write(c->own->app, &app);
	db_tx_write(tx,
		"INSERT INTO container_own (container_uid, init, stop_signal, config)"
		" VALUES (?1, ?2, ?3, ?4)",
		"ssib", c->uid, c->own->init, (int64_t)c->own->stop_signal,
		(const void *)(app.data ? app.data : (const uint8_t *)""), app.size);
}

void store_add_run(
	struct db_tx *tx, const struct run *run, const struct tenant *t, const struct container *c)
{
	db_tx_write(tx,
		"INSERT INTO runs (key, id, tenant_uid, tenant, account_ref, container_uid,"
		" container, boot_id, cgroup_inode, partial_writes, kind)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
		"usssssssudd", run->key, run->id, t->uid, t->name, t->account_ref, c ? c->uid : "",
		c ? c->name : "", run->boot_id, run->cgroup_inode, (int)run->partial_writes,
		(int)(c ? LEDGER_RUN : LEDGER_OWN));
}

void store_confirm_run(struct db_tx *tx, const struct run *run)
{
	db_tx_write(tx,
		"UPDATE runs SET start_boot=?2, start_wall=?3, id_base=?4, cgroup_inode=?5"
		" WHERE key=?1",
		"uuiiu", run->key, run->start_boot_usec, run->start_wall_usec,
		(int64_t)run->id_base, run->cgroup_inode);
	store_base(tx, run);
	store_open_run(tx, run);
}

void store_add_work(struct db_tx *tx, const struct run *run, const struct tenant *t)
{
	db_tx_write(tx,
		"INSERT OR IGNORE INTO runs (key, id, tenant_uid, tenant, account_ref,"
		" container_uid, container, boot_id, cgroup_inode, kind)"
		" VALUES (?1, ?2, ?3, ?4, ?5, '', '', ?6, ?7, ?8)",
		"usssssud", run->key, run->id, t->uid, t->name, t->account_ref, run->boot_id,
		run->cgroup_inode, (int)LEDGER_WORK);
	store_confirm_run(tx, run);
}

void store_end_run(struct db_tx *tx, const struct run *run)
{
	db_tx_write(tx,
		"UPDATE runs SET end_boot=?2, end_wall=?3, exit_kind=?4, exit_status=?5,"
		" exit_signal=?6, end_note=?7 WHERE key=?1",
		"uuiddds", run->key, run->end_boot_usec, run->end_wall_usec, (int)run->exit,
		(int)run->exit_status, (int)run->exit_signal, run->end_note);
}

void store_delete_run(struct db_tx *tx, const struct run *run)
{
	db_tx_write(tx, "DELETE FROM runs WHERE key=?1", "u", run->key);
}

void store_run_health(struct db_tx *tx, const struct run *run)
{
	db_tx_write(tx, "UPDATE runs SET health=?2 WHERE key=?1", "ud", run->key, (int)run->health);
}

void store_run_kill(struct db_tx *tx, const struct run *run)
{
	db_tx_write(tx, "UPDATE runs SET kill_boot=?2 WHERE key=?1", "uu", run->key,
		run->kill_boot_usec);
}

void store_run_idle(struct db_tx *tx, const struct run *run)
{
	db_tx_write(tx, "UPDATE runs SET idle=?2 WHERE key=?1", "uu", run->key, run->idle);
}
