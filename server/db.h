/*
 * The state's database: SQLite, WAL, synchronous=FULL, one connection that one thread owns.
 *
 * The loop hands over transactions (lists of statements with copied values) and reads, and is
 * called back when they are durable. The thread takes everything that is queued into one
 * BEGIN..COMMIT, with a savepoint for each transaction, so that a refused one leaves the others
 * alone and all share one sync. An I/O error stops the service: see db_config.failed. A full disk
 * does not: see db_tx_new_essential().
 */
#pragma once

#include "base/err.h"
#include "server/actor.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct db;
struct db_tx;

struct db_config {
	/* On the loop: the database cannot be trusted any more; the service must end. */
	void (*failed)(void *arg, const struct err *err);
	/* On the loop, after the callbacks of a batch that wrote something. */
	void (*committed)(void *arg);
	/* On the loop: a commit or read was carried out, so long after it was asked for. */
	void (*ended)(void *arg, bool is_write, uint64_t usec);
	void *arg;
};

/* On the loop: err is NULL when the transaction is durable, or the read is done. */
typedef void (*db_done_fn)(void *arg, const struct err *err);
/* On the database's thread: may use db_query() and only memory that nobody else uses meanwhile. */
typedef int (*db_read_fn)(struct db *db, void *arg, struct err *err);
/* A row of a query; -errno ends the query with that. */
typedef int (*db_row_fn)(sqlite3_stmt *row, void *arg, struct err *err);

/*
 * Opens (and makes) the file and brings its schema up to date. Until db_start(), the caller's
 * thread owns the connection and may use db_query().
 */
int db_open(const char *path, struct db **ret, struct err *err);
/*
 * Starts the thread, and a check of the file's integrity beside it, which ends the service when it
 * finds the file damaged; callbacks run on base's loop.
 */
int db_start(
	struct db *db, struct event_base *base, const struct db_config *config, struct err *err);
/*
 * Carries out what is queued, calls back, ends the thread. Callbacks may queue more: what writes is
 * also done, a read is refused (UNAVAILABLE / SHUTTING_DOWN).
 */
void db_stop(struct db *db);
/* Checkpoints and closes. NULL is allowed. */
void db_close(struct db *db);

/*
 * A new transaction; NULL stands for one that ran out of memory, and is accepted by every function
 * below: committing it calls back with RESOURCE_EXHAUSTED.
 */
struct db_tx *db_tx_new(void);
/*
 * One that is carried out also when the disk is full, at the cost of the reserve: the end of what
 * has happened already, and what makes room. Anything else is refused then, RESOURCE_EXHAUSTED /
 * STATE_DISK_FULL, until there is room again.
 */
struct db_tx *db_tx_new_essential(void);
void db_tx_free(struct db_tx *tx);

/*
 * Who asked for this transaction. Statements find it by the values `a` and `o`, also
 * those that were added before. Nobody did, where this is not called.
 */
void db_tx_set_actor(struct db_tx *tx, const struct actor *actor);

/*
 * Adds a statement; host_boot_id() in it is the id of this boot of the host. sql must be a string
 * literal (statements are cached by address). One letter of `types` a value: i int64_t, u uint64_t
 * (kept as the same 64 bits), d int, s const char * (NULL is SQL's), b const void * and size_t.
 * Without a value of their own: a the transaction's actor, o whether that is an operator.
 */
void db_tx_write(struct db_tx *tx, const char *sql, const char *types, ...);
/* As db_tx_write(), but the transaction fails with ABORTED unless exactly one row changed. */
void db_tx_write_one(struct db_tx *tx, const char *sql, const char *types, ...);

/* Queues the transaction, which becomes the database's. done (may be NULL) is called once. */
void db_commit(struct db *db, struct db_tx *tx, db_done_fn done, void *arg);
/* True while the disk is full. What is not essential need not be begun. */
bool db_is_full(struct db *db);
/* The refusal: returns -errno. */
int db_refuse_full(struct err *err);

/*
 * Queues a read. Both callbacks are called once; done alone where db_stop() was called, and none
 * behind its end. It sees what was queued to be written before it, and may see what was queued
 * after it: a commit does not wait for more than one read.
 */
void db_read(struct db *db, db_read_fn work, db_done_fn done, void *arg);

/*
 * Queues work that reads and writes: as a transaction of its own, which is committed when it
 * returns 0. Refused while the disk is full. As db_read_fn otherwise; it writes by db_query().
 */
void db_change(struct db *db, db_read_fn work, db_done_fn done, void *arg);

/*
 * In the work of db_change(): carries out a transaction's statements as a part of it. The
 * transaction stays the caller's.
 */
int db_tx_run(struct db *db, const struct db_tx *tx, struct err *err);

/*
 * Runs a query and calls fn for each row; types and values as db_tx_write(). fn may be NULL where
 * there are no rows.
 */
int db_query(struct db *db, const char *sql, db_row_fn fn, void *arg, struct err *err,
	const char *types, ...);

/* Copies a text column, cut to size; "" for NULL. */
void db_column_text(sqlite3_stmt *row, int column, char *out, size_t size);
static inline uint64_t db_column_u64(sqlite3_stmt *row, int column)
{
	return (uint64_t)sqlite3_column_int64(row, column);
}
