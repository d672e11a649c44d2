/*
 * The database's connection and the loop's side of its queue; see db.h. The thread's side is in
 * db_thread.c. The loop never waits but in db_stop().
 */
#include "server/db.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/db_internal.h"
#include "server/db_schema.h"
#include "server/reserve.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#define CACHE_KIB 8192

int db_refuse_full(struct err *err)
{
	return err_set(err, ERR_RESOURCE_EXHAUSTED, "STATE_DISK_FULL",
		"the disk of croftd's state is full: what runs goes on, and stopping and deleting "
		"still work; anything else waits for the operator to make room");
}

bool db_error_is_full(const struct err *err)
{
	return !strcmp(err->reason, "STATE_DISK_FULL");
}

/*
 * SQLite says FULL where a write fails with ENOSPC, and an I/O error where the file cannot grow in
 * another way or a quota is met. A failed sync is never taken for that: it tells nothing of what is
 * on the disk.
 */
static bool says_full(struct db *db, int code)
{
	int number = sqlite3_system_errno(db->handle);

	if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
		return false;
	switch (code & 0xff) {
	case SQLITE_FULL:
		return true;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return number == ENOSPC || number == EDQUOT;
	default:
		return false;
	}
}

int db_error(struct db *db, int code, const char *what, struct err *err)
{
	if (says_full(db, code))
		return db_refuse_full(err);
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		log_error("state-conflict error=\"%s\"", sqlite3_errmsg(db->handle));
		return err_set(err, ERR_ABORTED, "STATE_CONFLICT",
			"it was changed or deleted meanwhile; look at it again");
	case SQLITE_NOMEM:
		return err_oom(err);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database is damaged (%s); restore it from a backup",
			sqlite3_errmsg(db->handle));
	default:
		return err_set(err, ERR_INTERNAL, "STATE_FAILED", "%s: %s", what,
			sqlite3_errmsg(db->handle));
	}
}

int db_statement(struct db *db, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int code;

	for (size_t i = 0; i < db->n_statements; i++) {
		if (db->statements[i].sql != sql)
			continue;
		sqlite3_clear_bindings(db->statements[i].stmt);
		*ret = db->statements[i].stmt;
		return 0;
	}
	if (db->n_statements == STATEMENTS_MAX)
		return err_set(err, ERR_INTERNAL, "STATE_FAILED", "too many different statements");
	code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (code != SQLITE_OK)
		return db_error(db, code, "prepare a statement", err);
	db->statements[db->n_statements].sql = sql;
	db->statements[db->n_statements++].stmt = stmt;
	*ret = stmt;
	return 0;
}

int db_run_sql(struct db *db, const char *sql, struct err *err)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : db_error(db, code, "use the state database", err);
}

static int first_text(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	db_column_text(row, 0, arg, ERR_MSG_MAX / 2);
	return 0;
}

/* SQL's host_boot_id(): this boot's, as part of a row's time. */
static void boot_id(sqlite3_context *context, int n, sqlite3_value **values)
{
	const struct db *db = sqlite3_user_data(context);

	(void)n;
	(void)values;
	sqlite3_result_text(context, db->boot_id, -1, SQLITE_STATIC);
}

static int add_functions(struct db *db, struct err *err)
{
	int r = clock_boot_id(db->boot_id);

	if (r < 0)
		return err_sys(err, r, "read the host's boot id");
	r = sqlite3_create_function(db->handle, "host_boot_id", 0,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC, db, boot_id, NULL, NULL);
	return r == SQLITE_OK ? 0 : db_error(db, r, "open the state database", err);
}

static int configure(struct db *db, struct err *err)
{
	char mode[ERR_MSG_MAX / 2] = "";
	int r;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, 2000);
	r = db_query(db, "PRAGMA journal_mode=WAL", first_text, mode, err, "");
	if (r == 0 && strcmp(mode, "wal") != 0)
		r = err_set(err, ERR_FAILED_PRECONDITION, "STATE_FAILED",
			"the state directory's file system does not allow a write-ahead log");
	if (r == 0)
		r = db_run_sql(db,
			"PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA "
			"trusted_schema=OFF; "
			"PRAGMA cell_size_check=ON; PRAGMA wal_autocheckpoint=2000; "
			"PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY",
			err);
	return r;
}

static int open_once(struct db *db, const char *path, struct err *err)
{
	int code = sqlite3_open_v2(path, &db->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			SQLITE_OPEN_PRIVATECACHE,
		NULL);
	int r = code == SQLITE_OK ? 0 : db_error(db, code, "open the state database", err);

	if (r == 0)
		r = configure(db, err);
	if (r == 0)
		r = add_functions(db, err);
	if (r == 0)
		r = db_schema_migrate(db->handle, err);
	return r;
}

static void drop_statements(struct db *db)
{
	while (db->n_statements)
		sqlite3_finalize(db->statements[--db->n_statements].stmt);
}

static int make_sync(struct db *db)
{
	pthread_condattr_t attr;
	int r = pthread_condattr_init(&attr);

	/* The thread's pauses do not depend on what time it is. */
	if (r == 0)
		r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (r == 0)
		r = pthread_cond_init(&db->queued, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&db->lock, NULL);
	return -r;
}

int db_open(const char *path, struct db **ret, struct err *err)
{
	struct db *db = calloc(1, sizeof(*db));
	struct err failure = {0};
	int r;

	if (!db)
		return err_oom(err);
	db->wake_fd = -1;
	STAILQ_INIT(&db->writes);
	STAILQ_INIT(&db->reads);
	STAILQ_INIT(&db->finished);
	if (make_sync(db) < 0 || asprintf(&db->reserve, "%s-reserve", path) < 0) {
		free(db);
		return err_oom(err);
	}
	r = open_once(db, path, &failure);
	if (r < 0 && db_error_is_full(&failure)) {
		/* To open it takes some room as well: its log and the index of that. */
		reserve_release(db->reserve);
		drop_statements(db);
		sqlite3_close(db->handle);
		db->handle = NULL;
		r = open_once(db, path, &failure);
	}
	if (r < 0) {
		*err = failure;
		db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

/* --- the loop's side --- */

static void finish_job(struct db *db, struct db_job *job)
{
	db_done_fn done = job->done;

	if (db->config.ended && !job->failed)
		db->config.ended(
			db->config.arg, job->is_write, clock_boot_usec() - job->asked_usec);
	db_tx_free(job->tx);
	if (done)
		done(job->arg, job->failed ? &job->err : NULL);
	free(job);
}

/* Calls back for everything that is finished. */
static void call_back(struct db *db)
{
	struct db_job_list finished;
	struct db_job *job;
	bool wrote;

	STAILQ_INIT(&finished);
	pthread_mutex_lock(&db->lock);
	STAILQ_CONCAT(&finished, &db->finished);
	wrote = db->wrote;
	db->wrote = false;
	pthread_mutex_unlock(&db->lock);
	while ((job = STAILQ_FIRST(&finished))) {
		STAILQ_REMOVE_HEAD(&finished, entry);
		finish_job(db, job);
	}
	if (wrote && db->config.committed)
		db->config.committed(db->config.arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct db *db = arg;
	uint64_t count;
	struct err err;
	bool broken;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("database wake-up failed errno=%d", errno);
	call_back(db);
	pthread_mutex_lock(&db->lock);
	broken = db->broken;
	err = db->broken_err;
	pthread_mutex_unlock(&db->lock);
	if (broken && db->config.failed)
		db->config.failed(db->config.arg, &err);
}

int db_start(
	struct db *db, struct event_base *base, const struct db_config *config, struct err *err)
{
	sigset_t all;
	sigset_t before;
	int r;

	db->config = *config;
	db->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (db->wake_fd < 0)
		return err_sys(err, errno, "make an eventfd");
	db->wake_event = event_new(base, db->wake_fd, EV_READ | EV_PERSIST, on_wake, db);
	if (!db->wake_event || event_add(db->wake_event, NULL) < 0)
		return err_oom(err);
	/* Signals are the loop's alone. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&db->thread, NULL, db_thread_run, db);
	db->running = r == 0;
	r = r == 0 ? db_check_start(db, err) : err_sys(err, r, "start the database's thread");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static void submit(struct db *db, struct db_job *job)
{
	job->asked_usec = clock_boot_usec();
	pthread_mutex_lock(&db->lock);
	job->number = db->n_asked++;
	STAILQ_INSERT_TAIL(job->is_write ? &db->writes : &db->reads, job, entry);
	pthread_cond_signal(&db->queued);
	pthread_mutex_unlock(&db->lock);
}

void db_commit(struct db *db, struct db_tx *tx, db_done_fn done, void *arg)
{
	struct db_job *job = calloc(1, sizeof(*job));
	struct err err;

	if (!job) {
		db_tx_free(tx);
		err_oom(&err);
		if (done)
			done(arg, &err);
		return;
	}
	job->tx = tx;
	job->is_write = true;
	job->done = done;
	job->arg = arg;
	submit(db, job);
}

/* Who reads in steps would else keep croftd from ending, for as long as there is more to read. */
static void refuse_read(struct db *db, struct db_job *job)
{
	job->failed = true;
	err_set(&job->err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
	pthread_mutex_lock(&db->lock);
	STAILQ_INSERT_TAIL(&db->finished, job, entry);
	pthread_mutex_unlock(&db->lock);
}

static void queue_work(struct db *db, bool is_write, db_read_fn work, db_done_fn done, void *arg)
{
	struct db_job *job = calloc(1, sizeof(*job));
	struct err err;

	if (!job) {
		err_oom(&err);
		done(arg, &err);
		return;
	}
	job->work = work;
	job->is_write = is_write;
	job->done = done;
	job->arg = arg;
	if (db->ending && !is_write)
		refuse_read(db, job);
	else
		submit(db, job);
}

void db_read(struct db *db, db_read_fn work, db_done_fn done, void *arg)
{
	queue_work(db, false, work, done, arg);
}

void db_change(struct db *db, db_read_fn work, db_done_fn done, void *arg)
{
	queue_work(db, true, work, done, arg);
}

bool db_is_full(struct db *db)
{
	bool full;

	pthread_mutex_lock(&db->lock);
	full = db->full;
	pthread_mutex_unlock(&db->lock);
	return full;
}

static bool is_idle(struct db *db)
{
	bool idle;

	pthread_mutex_lock(&db->lock);
	idle = STAILQ_EMPTY(&db->writes) && STAILQ_EMPTY(&db->reads) && STAILQ_EMPTY(&db->finished);
	pthread_mutex_unlock(&db->lock);
	return idle;
}

/* One life of the thread: everything queued now is carried out and called back. */
static void drain(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	db->stopping = true;
	pthread_cond_signal(&db->queued);
	pthread_mutex_unlock(&db->lock);
	pthread_join(db->thread, NULL);
	call_back(db);
}

void db_stop(struct db *db)
{
	if (!db || !db->running)
		return;
	db->ending = true;
	db_check_end(db);
	drain(db);
	/* A callback may have queued its next step; the thread is started again for those. */
	while (!is_idle(db)) {
		if (pthread_create(&db->thread, NULL, db_thread_run, db) != 0)
			break;
		drain(db);
	}
	db->running = false;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_stop(db);
	drop_statements(db);
	if (db->handle && !db->broken)
		sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_close(db->handle);
	if (db->wake_event)
		event_free(db->wake_event);
	close_fd(&db->wake_fd);
	pthread_mutex_destroy(&db->lock);
	pthread_cond_destroy(&db->queued);
	free(db->reserve);
	free(db);
}
