/*
 * The schema as a list of steps; user_version counts those taken. A step that was released is never
 * edited: a change is a new step behind it.
 *
 * Times: *_wall is CLOCK_REALTIME, *_boot CLOCK_BOOTTIME, both in microseconds. Limits are text
 * ("cpu=500 memory=67108864"), so that a new limit needs no step. Samples, runs and gaps are the
 * record that bills rest on: no statement anywhere changes a sample, and only retention
 * (ledger_prune.c) deletes those that are closed. Events are dropped by event_retention.c alone.
 */
#include "server/db_schema.h"

#include "base/cleanup.h"
#include "server/db.h"
#include "server/sample_pack.h"

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

/*
 * Who asked for what an event tells of ('': nobody), and in whose share of the record it is: see
 * events.c. Each share has a row that counts its events, and says up to which number of it events
 * were dropped; triggers keep that, whoever adds and drops.
 */
static const char event_lanes[] =
	"ALTER TABLE events ADD COLUMN actor TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE events ADD COLUMN by_operator INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE events ADD COLUMN lane TEXT NOT NULL DEFAULT '';"
	"UPDATE events SET lane = tenant_uid ||"
	" iif(type GLOB 'tenant.*' AND type <> 'tenant.disk_full', '!', '');"
	"CREATE INDEX events_by_lane ON events(lane, number);"

	"CREATE TABLE event_lanes (lane TEXT PRIMARY KEY, n INTEGER NOT NULL,"
	" dropped INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX event_lanes_by_n ON event_lanes(n);"
	"CREATE INDEX event_lanes_by_dropped ON event_lanes(dropped);"
	"INSERT INTO event_lanes SELECT lane, count(*), 0 FROM events GROUP BY lane;"

	"CREATE TRIGGER event_added AFTER INSERT ON events BEGIN"
	" INSERT INTO event_lanes (lane, n, dropped) VALUES (new.lane, 1, 0)"
	" ON CONFLICT (lane) DO UPDATE SET n = n + 1; END;"
	"CREATE TRIGGER event_dropped AFTER DELETE ON events BEGIN"
	" UPDATE event_lanes SET n = n - 1, dropped = max(dropped, old.number)"
	" WHERE lane = old.lane; END;";

/*
 * The ledger; see docs/adr/0080-the-ledger.md. terms: container_uid '' is the tenant itself; a row
 * holds from its moment on, until the subject's next. open: how far a run is closed; those that
 * have ended and are closed are not in it. entries are never changed, nor deleted. hash: of its
 * last record; head: of the chain's last.
 */
static const char ledger[] =
	"CREATE TABLE ledger_terms (key INTEGER PRIMARY KEY, tenant_uid TEXT NOT NULL,"
	" container_uid TEXT NOT NULL, boot_id TEXT NOT NULL, boot INTEGER NOT NULL,"
	" wall INTEGER NOT NULL, plan TEXT NOT NULL, account_ref TEXT NOT NULL,"
	" limits TEXT NOT NULL);"
	"CREATE INDEX ledger_terms_by_subject ON ledger_terms(tenant_uid, container_uid, key);"

	"CREATE TABLE ledger_open (run INTEGER PRIMARY KEY REFERENCES runs(key) ON DELETE CASCADE,"
	" hour_end INTEGER NOT NULL, window_start INTEGER NOT NULL, boot INTEGER NOT NULL,"
	" sequence INTEGER NOT NULL, net_sequence INTEGER NOT NULL, io_sequence INTEGER NOT NULL,"
	" terms INTEGER NOT NULL, carry BLOB NOT NULL);"
	"CREATE INDEX ledger_open_by_end ON ledger_open(hour_end, run);"

	"CREATE TABLE ledger_hosts (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE ledger_chains (key INTEGER PRIMARY KEY, tenant_uid TEXT NOT NULL UNIQUE,"
	" records INTEGER NOT NULL, head TEXT NOT NULL);"
	"CREATE TABLE ledger_entries (number INTEGER PRIMARY KEY, chain INTEGER NOT NULL"
	" REFERENCES ledger_chains(key), run INTEGER NOT NULL REFERENCES runs(key),"
	" window_start INTEGER NOT NULL, window_end INTEGER NOT NULL, from_boot INTEGER NOT NULL,"
	" to_boot INTEGER NOT NULL, terms INTEGER NOT NULL, gap INTEGER NOT NULL,"
	" sequence INTEGER NOT NULL, net_sequence INTEGER NOT NULL, io_sequence INTEGER NOT NULL,"
	" revision INTEGER NOT NULL, flags INTEGER NOT NULL, host INTEGER NOT NULL,"
	" finalized INTEGER NOT NULL, figures BLOB NOT NULL, hash TEXT NOT NULL);"
	"CREATE INDEX ledger_entries_by_chain ON ledger_entries(chain);"
	"CREATE INDEX ledger_entries_by_run ON ledger_entries(run, window_start);"
	"CREATE INDEX ledger_entries_by_period ON ledger_entries(chain, window_start);"

	/* Of a run, samples were deleted that lie before the end of that entry of its. */
	"CREATE TABLE ledger_pruned (run INTEGER PRIMARY KEY REFERENCES runs(key),"
	" entry INTEGER NOT NULL);"

	"CREATE TABLE clock_steps (id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL,"
	" boot INTEGER NOT NULL, wall INTEGER NOT NULL, wall_expected INTEGER NOT NULL);"

	/* All that there is of runs is to be closed. */
	"INSERT INTO ledger_open (run, hour_end, window_start, boot, sequence, net_sequence,"
	" io_sequence, terms, carry) SELECT key, start_wall - start_wall % 3600000000 + 3600000000,"
	" start_wall, start_boot, 0, 0, 0, 0, x'' FROM runs"
	" WHERE container_uid <> '' AND start_wall IS NOT NULL;";

/* What events have told of a run's limits; see store_usage.c. */
static const char told_limits[] = "ALTER TABLE runs ADD COLUMN told TEXT NOT NULL DEFAULT '';";

/* Periods of tenants' traffic: struct allowance_period. */
static const char allowances[] =
	"ALTER TABLE tenants ADD COLUMN traffic_reset_day INTEGER NOT NULL DEFAULT 1;"
	"CREATE TABLE traffic_periods ("
	" tenant_uid TEXT NOT NULL REFERENCES tenants(uid) ON DELETE CASCADE,"
	" start_wall INTEGER NOT NULL, end_wall INTEGER NOT NULL, in_base INTEGER NOT NULL,"
	" out_base INTEGER NOT NULL, told INTEGER NOT NULL, slowed_rate INTEGER NOT NULL,"
	" PRIMARY KEY (tenant_uid, start_wall)) WITHOUT ROWID;";

/*
 * What is held whether anything runs or not has rows like runs have: kind as enum ledger_kind, one
 * for each boot of the host, with keys that begin at STORE_HELD_KEYS. A volume has its uid and name
 * where a container has; of a tenant itself both are ''.
 */
static const char held[] =
	"ALTER TABLE runs ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX runs_held ON runs(key) WHERE kind <> 0 AND end_wall IS NULL;";

/*
 * Up to where what the packet filter refused was told, of tenants and ('') of all; net_refusals.c.
 */
static const char refusals[] =
	"CREATE TABLE refusals (tenant_uid TEXT NOT NULL, reason INTEGER NOT NULL,"
	" boot_id TEXT NOT NULL, told INTEGER NOT NULL, PRIMARY KEY (tenant_uid, reason))"
	" WITHOUT ROWID;"
	"CREATE TRIGGER refusals_of_nobody AFTER DELETE ON tenants BEGIN"
	" DELETE FROM refusals WHERE tenant_uid = old.uid; END;";

/*
 * Holds: why tenants are suspended. What there was before was an operator's, told to the tenant,
 * and without an end. grace: seconds, NULL: never. containers.kept_down: as in struct container.
 *
 * events.operator_details: as details, with what the tenant is not told; '': the same.
 */
static const char holds[] =
	"CREATE TABLE holds ("
	" tenant_uid TEXT NOT NULL REFERENCES tenants(uid) ON DELETE CASCADE,"
	" type TEXT NOT NULL, reason TEXT NOT NULL, told INTEGER NOT NULL,"
	" set_by TEXT NOT NULL, set_wall INTEGER NOT NULL, grace INTEGER,"
	" PRIMARY KEY (tenant_uid, type)) WITHOUT ROWID;"
	"INSERT INTO holds (tenant_uid, type, reason, told, set_by, set_wall, grace)"
	" SELECT uid, 'operator', suspend_reason, 1, '', coalesce((SELECT max(wall) FROM events"
	"  WHERE tenant_uid = uid AND type = 'tenant.suspended'), created_wall), NULL"
	" FROM tenants WHERE suspended;"
	"ALTER TABLE tenants DROP COLUMN suspended;"
	"ALTER TABLE tenants DROP COLUMN suspend_reason;"
	"ALTER TABLE containers ADD COLUMN kept_down INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE events ADD COLUMN operator_details TEXT NOT NULL DEFAULT '';";

/* How much of what was used was in user mode, and in the kernel. */
static const char cpu_modes[] = "ALTER TABLE totals ADD COLUMN cpu_user INTEGER NOT NULL DEFAULT 0;"
				"ALTER TABLE totals ADD COLUMN cpu_system INTEGER NOT NULL DEFAULT "
				"0;";

/*
 * Operators' corrections: entries of the ledger that no samples were cut to, and what is particular
 * to them. corrects: the id of a record; actor: who, which the record does not say.
 */
static const char corrections[] =
	"CREATE TABLE ledger_corrections ("
	" entry INTEGER PRIMARY KEY REFERENCES ledger_entries(number),"
	" corrects TEXT NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL);";

/* Webhooks: struct webhook. cursor and pending: of ledger_entries or events, as source says. */
static const char webhooks[] =
	"CREATE TABLE webhooks (uid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" created_wall INTEGER NOT NULL, source INTEGER NOT NULL, tenant TEXT NOT NULL,"
	" tenant_uid TEXT NOT NULL, types TEXT NOT NULL, url TEXT NOT NULL,"
	" insecure_http INTEGER NOT NULL, ca TEXT NOT NULL, secret TEXT NOT NULL,"
	" old_secret TEXT NOT NULL, old_secret_until INTEGER NOT NULL,"
	" disabled TEXT NOT NULL DEFAULT '', cursor INTEGER NOT NULL,"
	" pending INTEGER NOT NULL DEFAULT 0, gap_told INTEGER NOT NULL DEFAULT 0,"
	" gap_pending INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,"
	" failing_wall INTEGER NOT NULL DEFAULT 0, next_wall INTEGER NOT NULL DEFAULT 0,"
	" success_wall INTEGER NOT NULL DEFAULT 0, error_wall INTEGER NOT NULL DEFAULT 0,"
	" status INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '') WITHOUT ROWID;";

/* Cases of abuse: struct abuse_record. throttling: the kernel may hold something lower for it. */
static const char abuse[] =
	"CREATE TABLE abuse_cases (number INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL,"
	" signal TEXT NOT NULL, tenant TEXT NOT NULL, tenant_uid TEXT NOT NULL,"
	" container TEXT NOT NULL, container_uid TEXT NOT NULL, action TEXT NOT NULL,"
	" dry_run INTEGER NOT NULL, value INTEGER NOT NULL, threshold INTEGER NOT NULL,"
	" window INTEGER NOT NULL, cpu_percent INTEGER NOT NULL, rate_in INTEGER NOT NULL,"
	" rate_out INTEGER NOT NULL, grace INTEGER NOT NULL, begin_wall INTEGER NOT NULL,"
	" throttling INTEGER NOT NULL, end_wall INTEGER, end_reason TEXT NOT NULL DEFAULT '',"
	" acted INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT '');"
	"CREATE INDEX abuse_cases_by_tenant ON abuse_cases(tenant_uid, number);"
	"CREATE INDEX abuse_cases_by_name ON abuse_cases(tenant, number);"
	"CREATE INDEX abuse_cases_that_last ON abuse_cases(number)"
	" WHERE end_wall IS NULL OR throttling;";

/*
 * Samples are a row each; see sample_pack.h. They were a row for each counter, five times as large.
 */
static const char packed_samples[] =
	"ALTER TABLE samples RENAME TO samples_by_meter;"
	"CREATE TABLE samples (run INTEGER NOT NULL REFERENCES runs(key),"
	" sequence INTEGER NOT NULL, boot INTEGER NOT NULL, wall INTEGER NOT NULL,"
	" ids INTEGER NOT NULL, packed BLOB NOT NULL, PRIMARY KEY (run, sequence)) WITHOUT ROWID;"
	"INSERT INTO samples (run, sequence, boot, wall, ids, packed)"
	" SELECT run, sequence, min(boot), min(wall), sum(1 << meter), pack_sample(meter, value)"
	" FROM samples_by_meter GROUP BY run, sequence;"
	"DROP TABLE samples_by_meter;";

/*
 * What there was to see when a case began: a packed AbuseEvidence. It goes with its case, or when a
 * tenant has more of them than are kept.
 */
static const char abuse_evidence[] =
	"CREATE TABLE abuse_evidence (number INTEGER PRIMARY KEY, tenant_uid TEXT NOT NULL,"
	" bundle BLOB NOT NULL);"
	"CREATE INDEX abuse_evidence_by_tenant ON abuse_evidence(tenant_uid, number);"
	"CREATE TRIGGER abuse_evidence_of_nobody AFTER DELETE ON abuse_cases BEGIN"
	" DELETE FROM abuse_evidence WHERE number = old.number; END;";

/* Windows of rules about abuse, as they were when they were last put down; abuse_keep.c. */
static const char abuse_windows[] =
	"CREATE TABLE abuse_windows (tenant_uid TEXT NOT NULL, container_uid TEXT NOT NULL,"
	" rule TEXT NOT NULL, signal TEXT NOT NULL, boot_id TEXT NOT NULL, window BLOB NOT NULL,"
	" PRIMARY KEY (tenant_uid, container_uid, rule)) WITHOUT ROWID;"
	"CREATE TRIGGER abuse_windows_of_nobody AFTER DELETE ON tenants BEGIN"
	" DELETE FROM abuse_windows WHERE tenant_uid = old.uid; END;"
	"CREATE TRIGGER abuse_windows_of_nothing AFTER DELETE ON containers BEGIN"
	" DELETE FROM abuse_windows WHERE tenant_uid = old.tenant_uid AND container_uid = old.uid;"
	" END;";

/*
 * Runs are never forgotten, and of all of a tenant's one or two are open that are its own: at a
 * start they are looked for.
 */
static const char runs_of_tenant[] = "CREATE INDEX runs_of_tenant ON runs(tenant_uid, kind, key)"
				     " WHERE container_uid = '' AND end_wall IS NULL;";

/* Who proves a run, or deletes samples of it, takes its entries in their order. */
static const char entries_of_run[] = "CREATE INDEX ledger_entries_of_run ON ledger_entries(run);";

/* When a run is killed whose end was asked for, in CLOCK_BOOTTIME; 0: nobody asked for it. */
static const char asked_ends[] =
	"ALTER TABLE runs ADD COLUMN kill_boot INTEGER NOT NULL DEFAULT 0;";

/* Of a run on cgroup v1, whose kernel attributes no buffered writes: its records say so. */
static const char partial_writes[] =
	"ALTER TABLE runs ADD COLUMN partial_writes INTEGER NOT NULL DEFAULT 0;";

/*
 * What a tenant's directory counts is cut and closed like a run. The rows there are have ended with
 * this version: croftd makes another, which goes on from what the directory has counted by then.
 * Their samples are nobody's, and deleted in steps (ledger_prune.c). What its totals had of limits
 * was its containers' too.
 */
static const char own_meters[] =
	"UPDATE runs SET kind = 5, end_wall = coalesce(end_wall, start_wall, 0)"
	" WHERE kind = 0 AND container_uid = '';"
	"UPDATE totals SET pids_denied = 0, at_limit = 0 WHERE uid GLOB 'own:*';"
	"CREATE INDEX runs_own ON runs(tenant_uid, key) WHERE kind = 5;";

/*
 * A closed hour that says "gap" has rows of gaps, and the other way round, from the entry behind
 * this one on: those before were closed without. They are found by where they begin.
 */
static const char closed_gaps[] =
	"CREATE INDEX gaps_in_run ON gaps(run, from_boot); DROP INDEX gaps_by_run;"
	"INSERT INTO settings (key, value) SELECT 'closed_gaps_after', coalesce(max(number), 0)"
	" FROM ledger_entries;";

static const char *const steps[] = {first, end_note, runs_by_name, image_config, image_aliases,
	snapshots, imports, plans, snapshot_schedules, upkeep, networks, forwards, volumes, nesting,
	health_checks, cloud_init, traffic, container_own, idle_freeze, full_disks, io_totals,
	event_lanes, ledger, told_limits, allowances, held, refusals, holds, cpu_modes, corrections,
	webhooks, abuse, packed_samples, abuse_evidence, abuse_windows, runs_of_tenant,
	entries_of_run, asked_ends, partial_writes, own_meters, closed_gaps};

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

	if (r == 0)
		r = sample_pack_register(handle, err);
	if (r < 0)
		return r;
	if (version < 0 || version > (int)ARRAY_SIZE(steps))
		return err_set(err, ERR_FAILED_PRECONDITION, "STATE_TOO_NEW",
			"the state was written by a later version of croftd; run that one");
	for (; version < (int)ARRAY_SIZE(steps) && r == 0; version++)
		r = take_step(handle, version, err);
	return r;
}
