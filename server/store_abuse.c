/* Cases of abuse in the database; see store_abuse.h. */
#include "server/store_abuse.h"

#include "server/abuse.h"

#include <errno.h>
#include <string.h>

void store_add_abuse(struct db_tx *tx, const struct abuse_record *r)
{
	db_tx_write(tx,
		"INSERT INTO abuse_cases (number, rule, signal, tenant, tenant_uid, container,"
		" container_uid, action, dry_run, value, threshold, window, cpu_percent, rate_in,"
		" rate_out, grace, begin_wall, throttling)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17, ?8 = 'throttle' AND NOT ?9)",
		"ussssss"
		"sduuuduuii",
		r->number, r->rule, abuse_signal_row(r->signal)->name, r->tenant, r->tenant_uid,
		r->container, r->container_uid, abuse_action_name(r->action), (int)r->dry_run,
		r->value, r->threshold, r->window_s, (int)r->throttle.cpu_percent,
		r->throttle.rate_in, r->throttle.rate_out, r->grace_s, r->begin_wall_usec);
	db_tx_write(tx,
		"DELETE FROM abuse_cases WHERE tenant_uid = ?1 AND end_wall IS NOT NULL"
		" AND number <= (SELECT number FROM abuse_cases WHERE tenant_uid = ?1"
		"  ORDER BY number DESC LIMIT 1 OFFSET ?2)",
		"sd", r->tenant_uid, ABUSE_HISTORY_OF_TENANT);
	db_tx_write(tx,
		"DELETE FROM abuse_cases WHERE end_wall IS NOT NULL AND number <="
		" (SELECT number FROM abuse_cases ORDER BY number DESC LIMIT 1 OFFSET ?1)",
		"d", ABUSE_HISTORY);
}

void store_abuse_acted(struct db_tx *tx, const struct abuse_record *r)
{
	db_tx_write(tx, "UPDATE abuse_cases SET acted = ?2, outcome = ?3 WHERE number = ?1", "uds",
		r->number, (int)r->acted, r->outcome);
}

void store_end_abuse(struct db_tx *tx, const struct abuse_record *r)
{
	db_tx_write(tx, "UPDATE abuse_cases SET end_wall = ?2, end_reason = ?3 WHERE number = ?1",
		"uis", r->number, r->end_wall_usec, r->end_reason);
}

void store_abuse_released(struct db_tx *tx, const char *tenant_uid, const char *container_uid)
{
	db_tx_write(tx,
		"UPDATE abuse_cases SET throttling = 0 WHERE tenant_uid = ?1 AND"
		" container_uid = ?2 AND throttling AND end_wall IS NOT NULL",
		"ss", tenant_uid, container_uid);
}

static void column_name(sqlite3_stmt *row, int column, char out[static NAME_SIZE])
{
	db_column_text(row, column, out, NAME_SIZE);
}

int store_read_abuse(sqlite3_stmt *row, struct abuse_record *ret)
{
	struct abuse_record r = {.number = db_column_u64(row, 0)};
	char signal[64];
	char action[16];

	column_name(row, 1, r.rule);
	db_column_text(row, 2, signal, sizeof(signal));
	column_name(row, 3, r.tenant);
	db_column_text(row, 4, r.tenant_uid, sizeof(r.tenant_uid));
	column_name(row, 5, r.container);
	db_column_text(row, 6, r.container_uid, sizeof(r.container_uid));
	db_column_text(row, 7, action, sizeof(action));
	if (abuse_signal_find(signal, &r.signal) < 0 || abuse_action_find(action, &r.action) < 0)
		return -ENODATA;
	r.dry_run = sqlite3_column_int(row, 8);
	r.value = db_column_u64(row, 9);
	r.threshold = db_column_u64(row, 10);
	r.window_s = db_column_u64(row, 11);
	r.throttle.cpu_percent = (uint32_t)sqlite3_column_int(row, 12);
	r.throttle.rate_in = db_column_u64(row, 13);
	r.throttle.rate_out = db_column_u64(row, 14);
	r.grace_s = sqlite3_column_int64(row, 15);
	r.begin_wall_usec = sqlite3_column_int64(row, 16);
	r.end_wall_usec = sqlite3_column_int64(row, 17);
	db_column_text(row, 18, r.end_reason, sizeof(r.end_reason));
	r.acted = sqlite3_column_int(row, 19);
	db_column_text(row, 20, r.outcome, sizeof(r.outcome));
	*ret = r;
	return 0;
}

void store_abuse_evidence(
	struct db_tx *tx, const struct abuse_record *r, const void *bundle, size_t size)
{
	db_tx_write(tx,
		"INSERT OR IGNORE INTO abuse_evidence (number, tenant_uid, bundle)"
		" VALUES (?1, ?2, ?3)",
		"usb", r->number, r->tenant_uid, bundle, size);
	db_tx_write(tx,
		"DELETE FROM abuse_evidence WHERE tenant_uid = ?1 AND number <="
		" (SELECT number FROM abuse_evidence WHERE tenant_uid = ?1"
		"  ORDER BY number DESC LIMIT 1 OFFSET ?2)",
		"sd", r->tenant_uid, ABUSE_EVIDENCE_OF_TENANT);
	db_tx_write(tx,
		"DELETE FROM abuse_evidence WHERE number <="
		" (SELECT number FROM abuse_evidence ORDER BY number DESC LIMIT 1 OFFSET ?1)",
		"d", ABUSE_EVIDENCE);
}

void store_abuse_window(struct db_tx *tx, const char *boot_id, const char *tenant_uid,
	const char *container_uid, const char *rule, const char *signal,
	const struct abuse_window *window)
{
	db_tx_write(tx,
		"INSERT OR REPLACE INTO abuse_windows (tenant_uid, container_uid, rule, signal,"
		" boot_id, window) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		"sssssb", tenant_uid, container_uid, rule, signal, boot_id, window,
		sizeof(*window));
}

void store_drop_abuse_windows(struct db_tx *tx, const char *boot_id)
{
	db_tx_write(tx, "DELETE FROM abuse_windows WHERE boot_id != ?1", "s", boot_id);
}

int store_read_abuse_window(sqlite3_stmt *row, struct abuse_stored_window *ret)
{
	const void *window = sqlite3_column_blob(row, 4);

	column_name(row, 0, ret->tenant);
	column_name(row, 1, ret->container);
	column_name(row, 2, ret->rule);
	column_name(row, 3, ret->signal);
	/* One whose container is gone is not its tenant's. */
	if (!window || sqlite3_column_bytes(row, 4) != (int)sizeof(ret->window) ||
		(!ret->container[0] && sqlite3_column_bytes(row, 5) > 0))
		return -ENODATA;
	memcpy(&ret->window, window, sizeof(ret->window));
	return ret->window.bucket_usec ? 0 : -ENODATA;
}
