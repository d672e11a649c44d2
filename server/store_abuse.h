/* Statements on cases of abuse. */
#pragma once

#include "base/abuse_rules.h"
#include "server/abuse_window.h"
#include "server/db.h"
#include "server/model.h"

#define ABUSE_OUTCOME_SIZE 200
#define ABUSE_REASON_SIZE  16

/* A case, as it is on record. */
struct abuse_record {
	uint64_t number;
	char rule[NAME_SIZE];
	enum abuse_signal signal;
	char tenant[NAME_SIZE];
	char tenant_uid[UID_SIZE];
	char container[NAME_SIZE]; /* "": the tenant as a whole */
	char container_uid[UID_SIZE];
	enum abuse_action action;
	bool dry_run;
	uint64_t value;
	uint64_t threshold;
	uint64_t window_s;
	struct abuse_throttle throttle;
	int64_t grace_s;
	int64_t begin_wall_usec;
	int64_t end_wall_usec; /* 0: it lasts */
	char end_reason[ABUSE_REASON_SIZE];
	bool acted; /* what it asks for was done */
	char outcome[ABUSE_OUTCOME_SIZE];
};

/* Adds it, and drops the oldest that are too many. */
void store_add_abuse(struct db_tx *tx, const struct abuse_record *record);
/* What was done, or could not be. */
void store_abuse_acted(struct db_tx *tx, const struct abuse_record *record);
/* It is over. What a throttle took may still be in the kernel, until store_abuse_released(). */
void store_end_abuse(struct db_tx *tx, const struct abuse_record *record);
/* Nothing is throttled any more of a container, or ("") of a tenant itself. */
void store_abuse_released(struct db_tx *tx, const char *tenant_uid, const char *container_uid);

/* The evidence of a case; drops the oldest that are too many. */
void store_abuse_evidence(
	struct db_tx *tx, const struct abuse_record *record, const void *bundle, size_t size);

/* What was added up of a rule; container_uid "": for the tenant itself. */
void store_abuse_window(struct db_tx *tx, const char *boot_id, const char *tenant_uid,
	const char *container_uid, const char *rule, const char *signal,
	const struct abuse_window *window);
/* Drops what is of another boot. */
void store_drop_abuse_windows(struct db_tx *tx, const char *boot_id);

struct abuse_stored_window {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE]; /* "": the tenant itself */
	char rule[NAME_SIZE];
	char signal[NAME_SIZE];
	struct abuse_window window;
};

/* Reads a row of ABUSE_WINDOWS_OF_BOOT. Returns 0, or -ENODATA for one of another version. */
int store_read_abuse_window(sqlite3_stmt *row, struct abuse_stored_window *ret);

#define ABUSE_WINDOWS_OF_BOOT                                                                      \
	"SELECT t.name, coalesce(c.name, ''), rule, signal, window, container_uid"                 \
	" FROM abuse_windows w JOIN tenants t ON t.uid = w.tenant_uid"                             \
	" LEFT JOIN containers c ON c.uid = w.container_uid WHERE boot_id = ?1"

/* Reads a row of ABUSE_COLUMNS. Returns 0, or -ENODATA for one of a later version. */
int store_read_abuse(sqlite3_stmt *row, struct abuse_record *ret);

#define ABUSE_COLUMNS                                                                              \
	"number, rule, signal, tenant, tenant_uid, container, container_uid, action, dry_run,"     \
	" value, threshold, window, cpu_percent, rate_in, rate_out, grace, begin_wall, end_wall,"  \
	" end_reason, acted, outcome"
