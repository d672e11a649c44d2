/*
 * A look at the whole file, once after the start, on a connection and a thread of its own: of a
 * file of gigabytes it takes minutes, and commits go on beside it. The write-ahead log is not taken
 * into the file meanwhile, and grows by what is written. Only reads.
 */
#include "server/db_internal.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_NSEC 1000000 /* between two tries to end it */

static bool is_to_end(const struct db_check *check)
{
	return __atomic_load_n(&check->ends, __ATOMIC_RELAXED);
}

static int take_answer(void *arg, int n, char **values, char **names)
{
	char *answer = arg;

	(void)names;
	snprintf(answer, ERR_MSG_MAX / 2, "%s", n == 1 && values[0] ? values[0] : "");
	return 0;
}

static void *run(void *arg)
{
	struct db *db = arg;
	struct db_check *check = &db->check;
	uint64_t start = clock_boot_usec();
	char answer[ERR_MSG_MAX / 2] = "";
	struct err err;
	int code;

	code = sqlite3_exec(check->handle, "PRAGMA quick_check(1)", take_answer, answer, NULL);
	if (code == SQLITE_OK && !strcmp(answer, "ok")) {
		log_info("state-checked ms=%" PRIu64, (clock_boot_usec() - start) / 1000);
	} else if (code == SQLITE_OK || db_is_fatal(code)) {
		err_set(&err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database is damaged (%s); restore it from a backup",
			code == SQLITE_OK ? answer : sqlite3_errmsg(check->handle));
		db_mark_broken(db, &err);
	} else if (!is_to_end(check)) {
		log_warning("state-not-checked error=\"%s\"", sqlite3_errmsg(check->handle));
	}
	return NULL;
}

int db_check_start(struct db *db, struct err *err)
{
	struct db_check *check = &db->check;
	int r = sqlite3_open_v2(sqlite3_db_filename(db->handle, "main"), &check->handle,
		SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);

	if (r != SQLITE_OK)
		return err_set(err, ERR_INTERNAL, "STATE_FAILED", "open the state database: %s",
			sqlite3_errstr(r));
	sqlite3_extended_result_codes(check->handle, 1);
	sqlite3_busy_timeout(check->handle, 2000);
	r = pthread_create(&check->thread, NULL, run, db);
	check->running = r == 0;
	return r == 0 ? 0 : err_sys(err, r, "start the check of the state database");
}

void db_check_end(struct db *db)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NSEC};
	struct db_check *check = &db->check;

	__atomic_store_n(&check->ends, true, __ATOMIC_RELAXED);
	/* Again, as one that comes before the statement has begun is forgotten. */
	while (check->running) {
		sqlite3_interrupt(check->handle);
		check->running = pthread_tryjoin_np(check->thread, NULL) != 0;
		if (check->running)
			nanosleep(&pause, NULL);
	}
	sqlite3_close(check->handle);
	check->handle = NULL;
}
