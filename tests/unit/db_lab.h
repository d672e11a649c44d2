/* The state's database in a temporary directory with a loop; for test_db*.c. */
#pragma once

#include "server/db.h"

struct event_base;

struct fixture {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct db *db;
	int committed; /* batches */
	bool failed;
};

/* What db_lab_note() writes. First in what is handed to it. */
struct result {
	struct fixture *f;
	int order; /* of the callbacks; 0: not called */
	bool failed;
	struct err err;
};

/* How many were called back, so far. */
extern int db_lab_called;

int db_lab_make(void **state);
int db_lab_drop(void **state);
/* Opens it and starts its thread. */
void db_lab_start(struct fixture *f);
/* Adds a row of this key, which fails when there is one. */
struct db_tx *db_lab_put(const char *key, int64_t value);
/* How many rows there are, once the thread has ended. */
int64_t db_lab_count(struct fixture *f);
/* A row's first column, an int64_t. */
int db_lab_take_number(sqlite3_stmt *row, void *arg, struct err *err);
/* For db_commit() and its like: arg is a result. */
void db_lab_note(void *arg, const struct err *err);
void db_lab_note_and_leave(void *arg, const struct err *err);
