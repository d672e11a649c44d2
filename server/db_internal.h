/* What db.c and db_tx.c share: jobs, and running statements. Nobody else includes this. */
#pragma once

#include "server/db.h"

#include <stdarg.h>
#include <sys/queue.h>

struct db_value {
	char type;
	int64_t number;
	const void *data; /* in the write's own allocation */
	size_t size;
};

struct db_write {
	STAILQ_ENTRY(db_write) entry;
	const char *sql;
	bool one_row;
	size_t n_values;
	struct db_value values[];
};

struct db_tx {
	STAILQ_HEAD(, db_write) writes;
	bool out_of_memory;
};

/* Carries out every statement of a transaction on the database's thread. */
int db_tx_run(struct db *db, const struct db_tx *tx, struct err *err);
/* The cached statement of a literal, reset and without bindings. */
int db_statement(struct db *db, const char *sql, sqlite3_stmt **ret, struct err *err);
/* Fills err from the connection's last error; returns -errno. */
int db_error(struct db *db, int code, const char *what, struct err *err);
