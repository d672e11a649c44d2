/*
 * Walking a run's samples in the database, from where it is closed (or elsewhere) to its last,
 * piece by piece: closing, exports of what is open, and verification all do it this way. Every
 * function is for the database's thread.
 */
#pragma once

#include "server/db.h"
#include "server/ledger_record.h"

/* Rows, which are samples, that a step reads at most: some milliseconds without a commit. */
#define LEDGER_STEP_ROWS 400

struct ledger_run {
	uint64_t key;
	enum ledger_kind kind;
	char id[RUN_ID_SIZE];
	char tenant_uid[UID_SIZE];
	char tenant[NAME_SIZE];
	char account_ref[ACCOUNT_REF_MAX + 1]; /* at its start */
	char container_uid[UID_SIZE];
	char container[NAME_SIZE]; /* or the volume's name; "": the tenant's own */
	char boot_id[BOOT_ID_LEN];
	struct usage_point start;
	bool ended;
	bool partial_writes; /* the kernel does not attribute those that are buffered: cgroup v1 */
};

/* The resource that a run, or what is held, is of. Returns out. */
const char *ledger_resource(enum ledger_kind kind, const char *tenant, const char *name,
	char out[static RESOURCE_SIZE]);
int ledger_run_load(struct db *db, uint64_t key, struct ledger_run *ret, struct err *err);

/* The reason of an error where what is on record of one run, or entry, lacks something. */
#define LEDGER_DAMAGED "LEDGER_DAMAGED"
bool ledger_is_damaged(int r, const struct err *err);

struct ledger_walk;
/* Takes a piece; `next` is where the one behind it begins. Other than 0 ends the step with that. */
typedef int (*ledger_take_fn)(struct ledger_walk *walk, const struct ledger_piece *piece,
	const struct ledger_position *next, struct err *err);

/* Takes an interval that is a gap, as ledger_gap_fn. */
typedef int (*ledger_take_gap_fn)(struct ledger_walk *walk, const struct usage_point *from,
	const struct usage_point *to, struct err *err);

struct ledger_walk {
	/* Set by the caller before ledger_walk_open(): */
	uint64_t gap_usec; /* of a run; what is held is looked at less often */
	ledger_take_fn take;
	ledger_take_gap_fn take_gap; /* may be NULL */
	void *arg;
	/* To be read by take: */
	struct db *db;
	struct ledger_run run;
	struct ledger_cut cut; /* cut.at is the piece's end, of its own window */
	uint32_t carry[LEDGER_METERS];
	uint64_t after_sequence; /* up to which samples were read */
};

/*
 * Begins at where a run is closed, which is in ledger_open. Returns 0, -ENOENT (err not filled)
 * when it is not in there, or -errno.
 */
int ledger_walk_open(struct ledger_walk *walk, struct db *db, uint64_t run_key, struct err *err);
/* Begins elsewhere: carry is what was left over before. */
int ledger_walk_begin(struct ledger_walk *walk, struct db *db, uint64_t run_key,
	const struct ledger_position *at, const uint32_t carry[static LEDGER_METERS],
	struct err *err);
/*
 * Goes on by at most *rows rows of samples, which are taken from it. *ret_end: there are no more;
 * then ledger_walk_end() gives the rest.
 */
int ledger_walk_step(
	struct ledger_walk *walk, struct db *db, size_t *rows, bool *ret_end, struct err *err);
int ledger_walk_end(struct ledger_walk *walk, struct db *db, struct err *err);

/*
 * Makes an entry of a piece, behind which `next` is: all but its number, revision, host and time of
 * closing, which are 0. Goes on with walk->carry.
 */
int ledger_walk_entry(struct ledger_walk *walk, const struct ledger_piece *piece,
	const struct ledger_position *next, struct ledger_entry *ret, struct err *err);
