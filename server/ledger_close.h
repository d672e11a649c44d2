/*
 * Closing: hours that are over, of runs whose samples go beyond them, become entries. In steps of
 * bounded work on the database's thread, each a transaction: wherever it is killed, what is closed
 * is closed once, and the rest is closed later, the same.
 */
#pragma once

#include "server/ledger_entries.h"
#include "server/server.h"

/* An hour is closed so long after its end: late figures still find it open. */
#define LEDGER_GRACE_USEC (INT64_C(120) * 1000000)

struct ledger_closer {
	/* Set by the caller; all else is 0. */
	int64_t due_usec; /* hours that ended by then, and those of a clock that was ahead of it */
	uint64_t gap_usec;
	char host[LEDGER_HOST_SIZE];
	/* Where it stands. */
	int64_t after_end_usec;
	uint64_t after_run;
	bool in_run;
	struct ledger_walk walk;
	uint64_t entries; /* that were closed */
	uint64_t damaged; /* runs that cannot be closed; each was logged */
	bool done;
};

/*
 * One step, for db_change(); arg is the closer. A run whose record is damaged stays open, and holds
 * up no other. When it fails, the closer is of no more use.
 */
int ledger_close_step(struct db *db, void *arg, struct err *err);

/* Closes what is due, once a minute, from when the supervisor's state is known. */
int ledger_keeper_create(struct server *server, struct err *err);
void ledger_keeper_destroy(struct server *server);
