/*
 * What croftd keeps, entity by entity: each function adds the statements of one change to a
 * transaction. The schema and its meaning: db_schema.c.
 */
#pragma once

#include "server/db.h"
#include "server/ledger_meters.h"
#include "server/model.h"

struct plan;
struct server;
struct snapshot;
struct volume;
struct webhook;
struct webhook_state;

/* Inserts or replaces by uid. */
void store_put_tenant(struct db_tx *tx, const struct tenant *tenant);
void store_delete_tenant(struct db_tx *tx, struct tenant *tenant);
/* Its present period of traffic. */
void store_put_traffic_period(struct db_tx *tx, const struct tenant *tenant);
void store_bind(struct db_tx *tx, const struct tenant *tenant, uint32_t uid);
/* Holds; see hold.h. With the last one, what it kept down is due to start: store_release_held(). */
void store_put_hold(struct db_tx *tx, const struct tenant *tenant, enum hold_type type);
void store_delete_hold(struct db_tx *tx, const struct tenant *tenant, enum hold_type type);
void store_release_held(struct db_tx *tx, const struct tenant *tenant);
int store_load_holds(struct db *db, struct model *model, struct err *err);
void store_put_plan(struct db_tx *tx, const struct plan *plan);
void store_delete_plan(struct db_tx *tx, const struct plan *plan);
void store_put_image(struct db_tx *tx, const struct image *image);
void store_delete_image(struct db_tx *tx, const struct image *image);
/* An import under way, which is undone at the next start unless it was deleted before. */
void store_put_import(struct db_tx *tx, const char *image);
void store_delete_import(struct db_tx *tx, const char *image);
void store_put_alias(struct db_tx *tx, const char *alias, const struct image *image);
void store_delete_alias(struct db_tx *tx, const char *alias);
/* Adds nothing once the container's row is deleted, or on its way to be: see row_gone. */
void store_put_container(struct db_tx *tx, const struct container *container);
/* The cores that it has now, alone. */
void store_put_cores(struct db_tx *tx, const struct container *container);
/* Sets row_gone, which is for the caller to take back when the commit fails. */
void store_delete_container(struct db_tx *tx, struct container *container);
/* How files of its own start; once, when that is known. Nothing once its row is deleted. */
void store_put_own(struct db_tx *tx, const struct container *container);
void store_put_snapshot(struct db_tx *tx, const struct snapshot *snapshot);
void store_delete_snapshot(struct db_tx *tx, const struct snapshot *snapshot);
/* A container's place in its tenant's network (part of store_put_container()), and all of them. */
void store_put_place(struct db_tx *tx, const struct container *container);
/* Inserts or changes the tenant's network: whether it may send mail. */
void store_put_network(struct db_tx *tx, const struct tenant *tenant);
void store_add_forward(
	struct db_tx *tx, const struct container *container, const struct forward *forward);
void store_delete_forward(struct db_tx *tx, const struct forward *forward);
void store_put_net_cursor(struct db_tx *tx, const struct model *model);
int store_load_networks(struct db *db, struct model *model, struct err *err);

void store_put_volume(struct db_tx *tx, const struct volume *volume);
void store_delete_volume(struct db_tx *tx, struct volume *volume);
/* Webhooks. Putting one is of what was chosen; its state is put apart, but for whether it is
 * disabled. */
void store_put_webhook(struct db_tx *tx, const struct webhook *w);
void store_put_webhook_state(
	struct db_tx *tx, const struct webhook *w, const struct webhook_state *state);
void store_disable_webhook(struct db_tx *tx, const struct webhook *w, const char *reason);
/* It is enabled again, as if nothing had failed. */
void store_enable_webhook(struct db_tx *tx, const struct webhook *w);
void store_delete_webhook(struct db_tx *tx, const struct webhook *w);
/* Before the database's thread has started. */
int store_load_webhooks(struct db *db, struct server *server, struct err *err);
void store_add_mount(
	struct db_tx *tx, const struct container *container, const struct container_mount *mount);
void store_delete_mount(
	struct db_tx *tx, const struct container *container, const struct container_mount *mount);
/* What it is given for cloud-init, if anything; nothing is added once its row is gone. */
void store_put_cloud_init(struct db_tx *tx, const struct container *container);
int store_load_cloud_init(struct db *db, struct model *model, struct err *err);
int store_load_volumes(struct db *db, struct model *model, struct err *err);

/* Single values. */
#define STORE_AUTOSTART_BOOT "autostart_boot"
#define STORE_CLOCK_LOOK     "clock_look" /* clock_watch.c */
void store_setting(struct db_tx *tx, const char *key, const char *value);
/* Before the database's thread has started: "" where there is none. */
int store_load_setting(struct db *db, const char *key, char *out, size_t size, struct err *err);

/* A run that is about to start, is confirmed, has ended, or never was. container NULL: it is what
 * the tenant's directory counts. */
void store_add_run(struct db_tx *tx, const struct run *run, const struct tenant *tenant,
	const struct container *container);
void store_confirm_run(struct db_tx *tx, const struct run *run);
/* Begins what is done for a tenant outside its containers, where it has not begun; see work.h. */
void store_add_work(struct db_tx *tx, const struct run *run, const struct tenant *tenant);
void store_end_run(struct db_tx *tx, const struct run *run);
void store_delete_run(struct db_tx *tx, const struct run *run);
/* That its end was asked for, and when it is killed. */
void store_run_kill(struct db_tx *tx, const struct run *run);
/* What is known of its health; whether it is frozen for being idle. */
void store_run_health(struct db_tx *tx, const struct run *run);
void store_run_idle(struct db_tx *tx, const struct run *run);
/* What events have told of its limits, and the way back. text may be NULL. */
void store_reported(struct db_tx *tx, const struct run *run);
void store_read_reported(const char *text, struct run *run);

void store_sample(struct db_tx *tx, const struct run *run, const struct usage_point *point);
/* What its traffic's counters said at its start, as sequence 0 (part of store_confirm_run()). */
void store_base(struct db_tx *tx, const struct run *run);
void store_gap(struct db_tx *tx, const struct run *run, const char *reason,
	const struct usage_point *from, const struct usage_point *to);
/* The totals of a tenant or container; `uid` is its uid, or "own:" and a tenant's. */
void store_totals(struct db_tx *tx, const char *uid, const struct usage_totals *totals);

/*
 * Terms of the ledger, as the rows of the tenant (and its containers) and of the container are: new
 * ones where those are not what they were. Part of putting either; the last makes all so, as an
 * upgrade needs it.
 */
void store_put_tenant_terms(struct db_tx *tx, const char *tenant_uid);
void store_put_container_terms(struct db_tx *tx, const char *container_uid);
void store_catch_up_terms(struct db_tx *tx);
/* The run is to be closed, from its start on (part of store_confirm_run()). */
void store_open_run(struct db_tx *tx, const struct run *run);
/* What is held has keys of runs from here on; see store_held.c. As SQL's text. */
#define STORE_HELD_KEYS "4611686018427387904"
/* Its row, if there is none yet; what it had at its beginning; a sample; its end. */
void store_put_held(struct db_tx *tx, const struct held *held, enum ledger_kind kind,
	const struct tenant *tenant, const char *uid);
void store_held_base(struct db_tx *tx, const struct held *held, const struct usage_held *values);
void store_held_sample(struct db_tx *tx, const struct held *held, const struct usage_held *values);
void store_end_held(struct db_tx *tx, const struct held *held);
/* Those of another boot, and of what is gone, end with their last sample. */
void store_end_lost_held(struct db_tx *tx);
/* A part of store_load(): what goes on. */
int store_load_held(struct db *db, struct model *model, struct err *err);
/* The wall clock was set: what it says now, and what it would have said. */
void store_clock_step(struct db_tx *tx, const char *boot_id, uint64_t boot_usec, int64_t wall_usec,
	int64_t expected_usec);

/* Fills the model from the database, before its thread has started. */
int store_load(struct db *db, struct model *model, uint64_t *ret_next_run_key, struct err *err);
/* A part of it: the plans. Makes `default`, durably, when it is not there. */
int store_load_plans(struct db *db, struct model *model, struct err *err);

/* A container that is gone: what its runs and totals still say. */
struct past {
	/* Set by the caller: of this tenant, the last one of this name, or the one with this uid.
	 */
	char tenant_uid[UID_SIZE];
	char container[NAME_SIZE];
	char container_uid[UID_SIZE];
	/* Found: */
	int64_t end_wall_usec; /* of its last run; 0: there is none of it */
	struct usage_totals totals;
};
/* Reads it, on the database's thread once that runs. */
int store_load_past(struct db *db, struct past *past, struct err *err);
/* The part of it that fills in the snapshots of the containers that are there. */
int store_load_snapshots(struct db *db, struct model *model, struct err *err);
/*
 * Reads the last sample of a run, and the base of its traffic: sequence 0 stays where there is
 * none.
 */
int store_load_last_sample(struct db *db, struct run *run, struct err *err);

#define OWN_UID_SIZE (UID_SIZE + 4)
/* "own:<uid>": the key of the totals of a tenant's own directory. Returns out. */
const char *store_own_uid(const struct tenant *tenant, char out[static OWN_UID_SIZE]);
