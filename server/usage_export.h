/*
 * Reading the ledger for an export: run after run, in steps of bounded work on the database's
 * thread, so that commits are not held up by a long history.
 */
#pragma once

#include "server/db.h"
#include "server/model.h"
#include "server/usage_sum.h"

#define EXPORT_ROWS_PER_STEP 20000
#define EXPORT_RUNS_PER_STEP 64

/* A run with what its samples in the period add up to. */
struct export_run {
	uint64_t key;
	char id[RUN_ID_SIZE];
	char tenant_uid[UID_SIZE];
	char tenant[NAME_SIZE];
	char account_ref[ACCOUNT_REF_MAX + 1];
	char container_uid[UID_SIZE];
	char container[NAME_SIZE];
	char boot_id[BOOT_ID_LEN];
	struct usage_point start;
	bool ended;
	bool complete; /* the last sample of an ended run is in the period */
	struct usage_window window;
};

struct export_cursor {
	/* Set by the caller. */
	int64_t from_wall_usec;
	int64_t to_wall_usec;
	uint64_t gap_usec;
	char tenant_uid[UID_SIZE]; /* "": all */
	/* Where it stands. */
	uint64_t after_key;
	struct export_run run; /* key 0: between two */
	uint64_t after_sequence;
	bool done;
	/* The result of a step. */
	struct export_run runs[EXPORT_RUNS_PER_STEP];
	size_t n_runs;
};

/* One step, on the database's thread. Returns 0, with runs filled and `done` set at the end. */
int export_step(struct db *db, struct export_cursor *cursor, struct err *err);
