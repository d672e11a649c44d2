/* What db*.c share: the connection, its jobs, and running statements. Nobody else includes this. */
#pragma once

#include "base/clock.h"
#include "server/db.h"

#include <pthread.h>
#include <stdarg.h>
#include <sys/queue.h>

#define STATEMENTS_MAX 256

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
	bool essential;
	struct actor actor;
};

struct db_job {
	STAILQ_ENTRY(db_job) entry;
	struct db_tx *tx; /* owned; NULL: `work` is to be done */
	db_read_fn work;
	db_done_fn done;
	void *arg;
	bool is_write;
	bool failed;
	uint64_t number; /* in the order of asking */
	uint64_t asked_usec;
	struct err err;
};

STAILQ_HEAD(db_job_list, db_job);

/* See db_check.c. */
struct db_check {
	sqlite3 *handle;
	pthread_t thread;
	bool running;
	bool ends; /* atomic: it is to end at once */
};

struct db {
	sqlite3 *handle;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} statements[STATEMENTS_MAX];
	size_t n_statements;
	char *reserve; /* the path of the reserve file */
	char boot_id[BOOT_ID_LEN];

	struct db_config config;
	pthread_t thread;
	bool running;
	bool ending; /* nothing is read any more that was not asked for before */
	int wake_fd; /* thread -> loop */
	struct event *wake_event;

	pthread_mutex_t lock;
	pthread_cond_t queued;
	/* Below: under lock. */
	struct db_job_list writes;
	struct db_job_list reads;
	uint64_t n_asked;
	struct db_job_list finished;
	bool stopping;
	bool broken; /* nothing is carried out any more */
	bool full;   /* only what is essential is carried out */
	struct err broken_err;
	bool wrote;
	/* The thread's alone. */
	time_t looked; /* for room, while full */
	bool wrote_last;
	struct db_check check;
};

/* The database's thread: carries jobs out until db->stopping. arg is the db. */
void *db_thread_run(void *arg);
/* Errors after which nothing that SQLite says about the file can be relied on. */
bool db_is_fatal(int code);
/* Nothing is carried out any more. On any thread. */
void db_mark_broken(struct db *db, const struct err *err);
/* Begins to check the file; with all signals blocked. What it finds marks the database broken. */
int db_check_start(struct db *db, struct err *err);
/* Ends that, wherever it is; also where it was not begun. */
void db_check_end(struct db *db);
/* Runs statements that return nothing. */
int db_run_sql(struct db *db, const char *sql, struct err *err);
/* True when an error filled by db_error() says that the disk is full. */
bool db_error_is_full(const struct err *err);

/* The cached statement of a literal, reset and without bindings. */
int db_statement(struct db *db, const char *sql, sqlite3_stmt **ret, struct err *err);
/* Fills err from the connection's last error; returns -errno. */
int db_error(struct db *db, int code, const char *what, struct err *err);
