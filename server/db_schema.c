/*
 * The schema as a list of steps; user_version counts those taken. A step that was released is never
 * edited: a change is a new step behind it.
 *
 * Times: *_wall is CLOCK_REALTIME, *_boot CLOCK_BOOTTIME, both in microseconds. Limits are text
 * ("cpu=500 memory=67108864"), so that a new limit needs no step. Samples, runs, gaps and events
 * are the record that bills rest on: no statement anywhere deletes or changes a sample.
 */
#include "server/db_schema.h"

#include "base/cleanup.h"
#include "server/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

static const char first[] =
	"CREATE TABLE tenants (uid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, plan TEXT NOT NULL,"
	" account_ref TEXT NOT NULL, limits TEXT NOT NULL, cpus TEXT NOT NULL,"
	" disk_by_plan INTEGER NOT NULL, suspended INTEGER NOT NULL,"
	" suspend_reason TEXT NOT NULL, created_wall INTEGER NOT NULL) WITHOUT ROWID;"

	"CREATE TABLE tenant_uids (uid INTEGER PRIMARY KEY,"
	" tenant_uid TEXT NOT NULL REFERENCES tenants(uid) ON DELETE CASCADE);"
	"CREATE INDEX tenant_uids_by_tenant ON tenant_uids(tenant_uid);"

	"CREATE TABLE images (uid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, init TEXT NOT NULL,"
	" stop_signal INTEGER NOT NULL, size_bytes INTEGER NOT NULL, entries INTEGER NOT NULL,"
	" skipped_devices INTEGER NOT NULL, created_wall INTEGER NOT NULL) WITHOUT ROWID;"

	/* launching: made by a launch whose start is not confirmed; deleting: to be gone on with.
	 */
	"CREATE TABLE containers (uid TEXT PRIMARY KEY,"
	" tenant_uid TEXT NOT NULL REFERENCES tenants(uid), name TEXT NOT NULL, image TEXT NOT "
	"NULL,"
	" policy TEXT NOT NULL, limits TEXT NOT NULL, cpus TEXT NOT NULL, init_args BLOB NOT NULL,"
	" with_init INTEGER NOT NULL, ephemeral INTEGER NOT NULL, oom_group INTEGER NOT NULL,"
	" launching INTEGER NOT NULL, deleting INTEGER NOT NULL, created_wall INTEGER NOT NULL,"
	" UNIQUE (tenant_uid, name)) WITHOUT ROWID;"

	/* One boot of a container; a run with container '' is a tenant's own directory (a check on
	   the sum of its containers, never billed). Names are kept here, as runs outlive both. */
	"CREATE TABLE runs (key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" tenant_uid TEXT NOT NULL, tenant TEXT NOT NULL, account_ref TEXT NOT NULL,"
	" container_uid TEXT NOT NULL, container TEXT NOT NULL, boot_id TEXT NOT NULL,"
	" cgroup_inode INTEGER NOT NULL DEFAULT 0, id_base INTEGER NOT NULL DEFAULT 0,"
	" start_boot INTEGER, start_wall INTEGER, end_boot INTEGER, end_wall INTEGER,"
	" exit_kind INTEGER NOT NULL DEFAULT 0, exit_status INTEGER NOT NULL DEFAULT 0,"
	" exit_signal INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX runs_by_container ON runs(container_uid, key);"
	"CREATE INDEX runs_by_tenant ON runs(tenant_uid, key);"
	"CREATE INDEX runs_open ON runs(key) WHERE end_wall IS NULL;"

	/* A run has its tenant, container, boot id and cgroup inode, so this key is the ledger's
	   (container, run, meter, sequence); in this order one sweep touches one page a run. */
	"CREATE TABLE samples (run INTEGER NOT NULL REFERENCES runs(key), sequence INTEGER NOT "
	"NULL,"
	" meter INTEGER NOT NULL, boot INTEGER NOT NULL, wall INTEGER NOT NULL,"
	" value INTEGER NOT NULL, PRIMARY KEY (run, sequence, meter)) WITHOUT ROWID;"

	"CREATE TABLE gaps (id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs(key),"
	" reason TEXT NOT NULL, from_boot INTEGER NOT NULL, to_boot INTEGER NOT NULL,"
	" from_wall INTEGER NOT NULL, to_wall INTEGER NOT NULL);"
	"CREATE INDEX gaps_by_run ON gaps(run);"

	/* What all samples of a tenant or container add up to, for a quick answer. The ledger can
	   rebuild it. memory is KiB*us in two halves, as it outgrows 64 bits. */
	"CREATE TABLE totals (uid TEXT PRIMARY KEY, cpu INTEGER NOT NULL, throttled INTEGER NOT "
	"NULL,"
	" memory_high INTEGER NOT NULL, memory_low INTEGER NOT NULL, memory_peak INTEGER NOT NULL,"
	" pids_peak INTEGER NOT NULL, pids_denied INTEGER NOT NULL, oom_kills INTEGER NOT NULL,"
	" at_limit INTEGER NOT NULL, running INTEGER NOT NULL, runs INTEGER NOT NULL) WITHOUT "
	"ROWID;"

	"CREATE TABLE events (number INTEGER PRIMARY KEY, wall INTEGER NOT NULL, type TEXT NOT "
	"NULL,"
	" tenant_uid TEXT NOT NULL, tenant TEXT NOT NULL, resource TEXT NOT NULL,"
	" run_id TEXT NOT NULL, message TEXT NOT NULL, details TEXT NOT NULL);"
	"CREATE INDEX events_by_tenant ON events(tenant_uid, number);"

	"CREATE TABLE requests (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL,"
	" caller TEXT NOT NULL, reply BLOB NOT NULL, wall INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX requests_by_wall ON requests(wall);";

/* Why a container stays down after a run, where its exit does not say it. */
static const char end_note[] = "ALTER TABLE runs ADD COLUMN end_note TEXT NOT NULL DEFAULT '';";

/* What a container that is gone had used is asked for by its name. */
static const char runs_by_name[] = "CREATE INDEX runs_by_name ON runs(tenant_uid, container, key);";

/* What an application image says about running it; see sandbox/image_config.h. Empty: none. */
static const char image_config[] = "ALTER TABLE images ADD COLUMN config BLOB NOT NULL DEFAULT x''";

/* Other names of images; they go with their image. */
static const char image_aliases[] =
	"CREATE TABLE image_aliases (alias TEXT PRIMARY KEY,"
	" image_uid TEXT NOT NULL REFERENCES images(uid) ON DELETE CASCADE) WITHOUT ROWID;"
	"CREATE INDEX image_aliases_by_image ON image_aliases(image_uid);";

/* state 0: half made, or to be removed. pending: what is done to a container's files (see
   container_pending.h). */
static const char snapshots[] =
	"CREATE TABLE snapshots (uid TEXT PRIMARY KEY,"
	" container_uid TEXT NOT NULL REFERENCES containers(uid) ON DELETE CASCADE,"
	" name TEXT NOT NULL, state INTEGER NOT NULL, size_bytes INTEGER NOT NULL,"
	" created_wall INTEGER NOT NULL, image TEXT NOT NULL, policy TEXT NOT NULL,"
	" limits TEXT NOT NULL, init_args BLOB NOT NULL, with_init INTEGER NOT NULL,"
	" oom_group INTEGER NOT NULL, UNIQUE (container_uid, name)) WITHOUT ROWID;"
	"ALTER TABLE containers ADD COLUMN pending TEXT NOT NULL DEFAULT '';";

/* Images being imported: what is here without a row of its own is to be undone. */
static const char imports[] = "CREATE TABLE imports (image TEXT PRIMARY KEY) WITHOUT ROWID";

/*
 * Plans. What a tenant had of its own was not on record: all of it counts as its own, but for the
 * disk limit that came with the plan, so that nobody's limits change.
 */
static const char plans[] =
	"CREATE TABLE plans (uid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, limits TEXT NOT NULL,"
	" created_wall INTEGER NOT NULL) WITHOUT ROWID;"
	"ALTER TABLE tenants ADD COLUMN own_limits TEXT NOT NULL DEFAULT '';"
	"UPDATE tenants SET own_limits = 'cpu cpu-weight cores memory swap pids containers'"
	" || iif(disk_by_plan, '', ' disk');"
	"ALTER TABLE tenants DROP COLUMN disk_by_plan;";

/* schedule: see snapshot_schedule.h; "": none. */
static const char snapshot_schedules[] =
	"ALTER TABLE containers ADD COLUMN schedule TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE snapshots ADD COLUMN automatic INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE snapshots ADD COLUMN expire_wall INTEGER NOT NULL DEFAULT 0;";

/* What croftd does unasked: restarts, and what starts with the host. */
static const char upkeep[] =
	"ALTER TABLE containers ADD COLUMN restart TEXT NOT NULL DEFAULT 'never';"
	"ALTER TABLE containers ADD COLUMN autostart INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE containers ADD COLUMN start_order INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE containers ADD COLUMN restart_due INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

/*
 * Networks and places in them: each number is given to one at a time, whatever croftd believes.
 * A container without a row has not been given a place yet; one with slot NULL is to have none.
 * The `next` columns are where the search for a free number goes on, so that one that was just
 * given back is not given again at once.
 */
static const char networks[] =
	"CREATE TABLE networks (number INTEGER PRIMARY KEY,"
	" tenant_uid TEXT NOT NULL UNIQUE REFERENCES tenants(uid) ON DELETE CASCADE,"
	" next_slot INTEGER NOT NULL);"

	"CREATE TABLE network_cursor (id INTEGER PRIMARY KEY CHECK (id = 1),"
	" next INTEGER NOT NULL);"

	"CREATE TABLE container_networks ("
	" container_uid TEXT PRIMARY KEY REFERENCES containers(uid) ON DELETE CASCADE,"
	" number INTEGER REFERENCES networks(number), slot INTEGER,"
	" UNIQUE (number, slot)) WITHOUT ROWID;";

/* Ports of the host that lead to containers. address '': every one; protocol as in IP headers. */
static const char forwards[] =
	"CREATE TABLE forwards (address TEXT NOT NULL, protocol INTEGER NOT NULL,"
	" first INTEGER NOT NULL, last INTEGER NOT NULL, target INTEGER NOT NULL,"
	" container_uid TEXT NOT NULL REFERENCES containers(uid) ON DELETE CASCADE,"
	" PRIMARY KEY (address, protocol, first)) WITHOUT ROWID;"
	"CREATE INDEX forwards_by_container ON forwards(container_uid);"
	"ALTER TABLE networks ADD COLUMN smtp INTEGER NOT NULL DEFAULT 0;";

/*
 * Volumes, and what containers have mounted: a volume, or a directory of the host by its name.
 * state 0: half made, or to be removed.
 */
static const char volumes[] =
	"CREATE TABLE volumes (uid TEXT PRIMARY KEY,"
	" tenant_uid TEXT NOT NULL REFERENCES tenants(uid) ON DELETE CASCADE,"
	" name TEXT NOT NULL, state INTEGER NOT NULL, size_bytes INTEGER NOT NULL,"
	" created_wall INTEGER NOT NULL, UNIQUE (tenant_uid, name)) WITHOUT ROWID;"

	"CREATE TABLE container_mounts ("
	" container_uid TEXT NOT NULL REFERENCES containers(uid) ON DELETE CASCADE,"
	" path TEXT NOT NULL, volume_uid TEXT REFERENCES volumes(uid),"
	" host_directory TEXT, read_only INTEGER NOT NULL,"
	" PRIMARY KEY (container_uid, path), UNIQUE (container_uid, volume_uid),"
	" UNIQUE (container_uid, host_directory),"
	" CHECK ((volume_uid IS NULL) <> (host_directory IS NULL))) WITHOUT ROWID;"
	"CREATE INDEX container_mounts_by_volume ON container_mounts(volume_uid);";

/* Who may have containers with containers inside, and which those are. */
static const char nesting[] =
	"ALTER TABLE tenants ADD COLUMN nesting INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE containers ADD COLUMN nesting INTEGER NOT NULL DEFAULT 0;";

/* containers.health: see health.h; "": no check. runs.health: as enum health_state. */
static const char health_checks[] =
	"ALTER TABLE containers ADD COLUMN health TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE runs ADD COLUMN health INTEGER NOT NULL DEFAULT 0;";

/* See cloud_init.h. ssh_keys: each with a NUL behind it. NULL: none. */
static const char cloud_init[] =
	"CREATE TABLE container_cloud_init ("
	" container_uid TEXT PRIMARY KEY REFERENCES containers(uid) ON DELETE CASCADE,"
	" instance_id TEXT NOT NULL, user_data BLOB, meta_data BLOB, network_config BLOB,"
	" ssh_keys BLOB) WITHOUT ROWID;";

/* Traffic (struct net_usage). What containers had before is not known. */
static const char traffic[] =
	"ALTER TABLE totals ADD COLUMN net_in INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN net_in_packets INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN net_out INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN net_out_packets INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN net_outside_in INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN net_outside_in_packets INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN net_outside_out INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN net_outside_out_packets INTEGER NOT NULL DEFAULT 0;";

/* How containers start that stand on no image: their image is ''. config: as of images. */
static const char container_own[] =
	"CREATE TABLE container_own ("
	" container_uid TEXT PRIMARY KEY REFERENCES containers(uid) ON DELETE CASCADE,"
	" init TEXT NOT NULL, stop_signal INTEGER NOT NULL, config BLOB NOT NULL) WITHOUT ROWID;";

/* containers.idle_freeze: seconds; runs.idle: as in struct run. */
static const char idle_freeze[] =
	"ALTER TABLE containers ADD COLUMN idle_freeze INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE runs ADD COLUMN idle INTEGER NOT NULL DEFAULT 0;";

/* Whose disk is full, as an event has told: a tenant's, a container's or a volume's. */
static const char full_disks[] =
	"CREATE TABLE full_disks (uid TEXT PRIMARY KEY,"
	" tenant_uid TEXT NOT NULL REFERENCES tenants(uid) ON DELETE CASCADE) WITHOUT ROWID;"
	"CREATE INDEX full_disks_by_tenant ON full_disks(tenant_uid);";

/* I/O (struct io_usage). What containers had before is not known. */
static const char io_totals[] =
	"ALTER TABLE totals ADD COLUMN io_read INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN io_read_ops INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN io_write INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE totals ADD COLUMN io_write_ops INTEGER NOT NULL DEFAULT 0;";

static const char *const steps[] = {first, end_note, runs_by_name, image_config, image_aliases,
	snapshots, imports, plans, snapshot_schedules, upkeep, networks, forwards, volumes, nesting,
	health_checks, cloud_init, traffic, container_own, idle_freeze, full_disks, io_totals};

static int fail(sqlite3 *handle, struct err *err)
{
	int code = sqlite3_errcode(handle);

	if ((code & 0xff) == SQLITE_FULL)
		return db_refuse_full(err);
	if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database is damaged (%s); restore it from a backup",
			sqlite3_errmsg(handle));
	return err_set(err, ERR_INTERNAL, "STATE_FAILED", "prepare the state database: %s",
		sqlite3_errmsg(handle));
}

static int read_version(sqlite3 *handle, int *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int r = -1;

	if (sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &stmt, NULL) != SQLITE_OK)
		return fail(handle, err);
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		*ret = sqlite3_column_int(stmt, 0);
		r = 0;
	}
	sqlite3_finalize(stmt);
	return r == 0 ? 0 : fail(handle, err);
}

static int take_step(sqlite3 *handle, int version, struct err *err)
{
	char pragma[64];
	int r;

	/* user_version is part of the transaction, so a step is taken wholly or not at all. */
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d; COMMIT", version + 1);
	if (sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
		sqlite3_exec(handle, steps[version], NULL, NULL, NULL) == SQLITE_OK &&
		sqlite3_exec(handle, pragma, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	r = fail(handle, err);
	sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int db_schema_migrate(sqlite3 *handle, struct err *err)
{
	int version = 0;
	int r = read_version(handle, &version, err);

	if (r < 0)
		return r;
	if (version < 0 || version > (int)ARRAY_SIZE(steps))
		return err_set(err, ERR_FAILED_PRECONDITION, "STATE_TOO_NEW",
			"the state was written by a later version of croftd; run that one");
	for (; version < (int)ARRAY_SIZE(steps) && r == 0; version++)
		r = take_step(handle, version, err);
	return r;
}
