/*
 * The database's thread, its queue and the group commit; see db.h.
 *
 * The loop's side never waits but in db_stop(). A transaction whose commit's fate is unknown (an
 * I/O error, a failed sync) is never called committed, and ends the service: what the page cache
 * then holds says nothing about the disk.
 */
#include "server/db.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/db_internal.h"
#include "server/db_schema.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#define STATEMENTS_MAX 128
#define CACHE_KIB      8192
#define BATCH_MAX      1024 /* transactions sharing one commit: bounds its latency */

struct job {
	STAILQ_ENTRY(job) entry;
	struct db_tx *tx; /* owned; a read has none */
	db_read_fn read;
	db_done_fn done;
	void *arg;
	bool is_write;
	bool failed;
	struct err err;
};

STAILQ_HEAD(job_list, job);

struct db {
	sqlite3 *handle;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} statements[STATEMENTS_MAX];
	size_t n_statements;

	struct db_config config;
	pthread_t thread;
	bool running;
	int wake_fd; /* thread -> loop */
	struct event *wake_event;

	pthread_mutex_t lock;
	pthread_cond_t queued;
	/* Below: under lock. */
	struct job_list queue;
	struct job_list finished;
	bool stopping;
	bool broken; /* nothing is carried out any more */
	struct err broken_err;
	bool wrote;
};

int db_error(struct db *db, int code, const char *what, struct err *err)
{
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return err_set(err, ERR_ABORTED, "STATE_CONFLICT", "%s: %s", what,
			sqlite3_errmsg(db->handle));
	case SQLITE_FULL:
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "STATE_DISK_FULL",
			"the disk of the state directory is full; make room and try again");
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

/* Errors after which nothing that SQLite says about the file can be relied on. */
static bool is_fatal(int code)
{
	switch (code & 0xff) {
	case SQLITE_IOERR:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PROTOCOL:
		return true;
	default:
		return false;
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

static int run_sql(struct db *db, const char *sql, struct err *err)
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
		r = run_sql(db,
			"PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA "
			"trusted_schema=OFF; "
			"PRAGMA cell_size_check=ON; PRAGMA wal_autocheckpoint=2000; "
			"PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY",
			err);
	return r;
}

int db_open(const char *path, struct db **ret, struct err *err)
{
	struct db *db = calloc(1, sizeof(*db));
	int code;
	int r;

	if (!db)
		return err_oom(err);
	db->wake_fd = -1;
	STAILQ_INIT(&db->queue);
	STAILQ_INIT(&db->finished);
	pthread_mutex_init(&db->lock, NULL);
	pthread_cond_init(&db->queued, NULL);
	code = sqlite3_open_v2(path, &db->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			SQLITE_OPEN_PRIVATECACHE,
		NULL);
	r = code == SQLITE_OK ? 0 : db_error(db, code, "open the state database", err);
	if (r == 0)
		r = configure(db, err);
	if (r == 0)
		r = db_schema_migrate(db->handle, err);
	if (r < 0) {
		db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

/* --- the thread --- */

static void mark_broken(struct db *db, const struct err *err)
{
	pthread_mutex_lock(&db->lock);
	if (!db->broken) {
		db->broken = true;
		db->broken_err = *err;
	}
	pthread_mutex_unlock(&db->lock);
}

static void fail_job(struct job *job, const struct err *err)
{
	job->failed = true;
	job->err = *err;
}

/* After any failure SQLite may have rolled the whole transaction back by itself. */
static bool transaction_lost(const struct db *db)
{
	return sqlite3_get_autocommit(db->handle);
}

static int run_in_savepoint(struct db *db, struct job *job, struct err *err)
{
	struct err ignored;
	int r = run_sql(db, "SAVEPOINT job", err);

	if (r < 0)
		return r;
	r = db_tx_run(db, job->tx, &job->err);
	if (r < 0) {
		job->failed = true;
		if (transaction_lost(db)) {
			*err = job->err;
			return r;
		}
		run_sql(db, "ROLLBACK TO job", &ignored);
	}
	return run_sql(db, "RELEASE job", err);
}

static int run_job(struct db *db, struct job *job, struct err *err)
{
	if (job->is_write)
		return run_in_savepoint(db, job, err);
	if (job->read(db, job->arg, &job->err) == 0)
		return 0;
	job->failed = true;
	if (!is_fatal(sqlite3_errcode(db->handle)))
		return 0;
	*err = job->err;
	return -EIO;
}

/*
 * Carries a batch out as one transaction. When the transaction as a whole fails, so does every
 * job of it: none was durable.
 */
static void run_batch(struct db *db, struct job_list *batch)
{
	struct err err;
	struct job *job;
	int code = SQLITE_OK;
	int r = run_sql(db, "BEGIN", &err);

	STAILQ_FOREACH(job, batch, entry)
	{
		if (r == 0)
			r = run_job(db, job, &err);
	}
	if (r == 0) {
		code = sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL);
		if (code != SQLITE_OK)
			r = db_error(db, code, "commit", &err);
	} else {
		code = sqlite3_extended_errcode(db->handle);
	}
	if (r == 0)
		return;
	if (!transaction_lost(db))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	if (is_fatal(code))
		mark_broken(db, &err);
	STAILQ_FOREACH(job, batch, entry)
	fail_job(job, &err);
}

static void check_integrity(struct db *db)
{
	char answer[ERR_MSG_MAX / 2] = "";
	struct err err;
	int r = db_query(db, "PRAGMA quick_check(1)", first_text, answer, &err, "");

	if (r == 0 && strcmp(answer, "ok") != 0)
		r = err_set(&err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database is damaged (%s); restore it from a backup", answer);
	if (r < 0)
		mark_broken(db, &err);
}

static void wake_loop(struct db *db)
{
	uint64_t one = 1;

	if (write(db->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("database wake-up failed errno=%d", errno);
}

/* Moves up to BATCH_MAX jobs out of the queue; waits for the first. False: time to end. */
static bool take_batch(struct db *db, struct job_list *batch, bool *ret_broken, struct err *ret_err)
{
	STAILQ_INIT(batch);
	pthread_mutex_lock(&db->lock);
	while (STAILQ_EMPTY(&db->queue) && !db->stopping && !db->broken)
		pthread_cond_wait(&db->queued, &db->lock);
	for (int i = 0; i < BATCH_MAX && !STAILQ_EMPTY(&db->queue); i++) {
		struct job *job = STAILQ_FIRST(&db->queue);

		STAILQ_REMOVE_HEAD(&db->queue, entry);
		STAILQ_INSERT_TAIL(batch, job, entry);
	}
	*ret_broken = db->broken;
	*ret_err = db->broken_err;
	pthread_mutex_unlock(&db->lock);
	return !STAILQ_EMPTY(batch);
}

static void *run_thread(void *arg)
{
	struct db *db = arg;
	struct job_list batch;
	struct job *job;
	struct err err;
	bool broken;

	check_integrity(db);
	while (take_batch(db, &batch, &broken, &err)) {
		if (!broken)
			run_batch(db, &batch);
		pthread_mutex_lock(&db->lock);
		while ((job = STAILQ_FIRST(&batch))) {
			STAILQ_REMOVE_HEAD(&batch, entry);
			if (broken)
				fail_job(job, &err);
			db->wrote |= job->is_write && !job->failed;
			STAILQ_INSERT_TAIL(&db->finished, job, entry);
		}
		pthread_mutex_unlock(&db->lock);
		wake_loop(db);
	}
	wake_loop(db);
	return NULL;
}

/* --- the loop's side --- */

static void finish_job(struct job *job)
{
	db_done_fn done = job->done;

	db_tx_free(job->tx);
	if (done)
		done(job->arg, job->failed ? &job->err : NULL);
	free(job);
}

/* Calls back for everything that is finished. */
static void call_back(struct db *db)
{
	struct job_list finished;
	struct job *job;
	bool wrote;

	STAILQ_INIT(&finished);
	pthread_mutex_lock(&db->lock);
	STAILQ_CONCAT(&finished, &db->finished);
	wrote = db->wrote;
	db->wrote = false;
	pthread_mutex_unlock(&db->lock);
	while ((job = STAILQ_FIRST(&finished))) {
		STAILQ_REMOVE_HEAD(&finished, entry);
		finish_job(job);
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
	r = pthread_create(&db->thread, NULL, run_thread, db);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return err_sys(err, r, "start the database's thread");
	db->running = true;
	return 0;
}

static void submit(struct db *db, struct job *job)
{
	pthread_mutex_lock(&db->lock);
	STAILQ_INSERT_TAIL(&db->queue, job, entry);
	pthread_cond_signal(&db->queued);
	pthread_mutex_unlock(&db->lock);
}

void db_commit(struct db *db, struct db_tx *tx, db_done_fn done, void *arg)
{
	struct job *job = calloc(1, sizeof(*job));
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

void db_read(struct db *db, db_read_fn work, db_done_fn done, void *arg)
{
	struct job *job = calloc(1, sizeof(*job));
	struct err err;

	if (!job) {
		err_oom(&err);
		done(arg, &err);
		return;
	}
	job->read = work;
	job->done = done;
	job->arg = arg;
	submit(db, job);
}

static bool is_idle(struct db *db)
{
	bool idle;

	pthread_mutex_lock(&db->lock);
	idle = STAILQ_EMPTY(&db->queue) && STAILQ_EMPTY(&db->finished);
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
	drain(db);
	/* A callback may have queued its next step; the thread is started again for those. */
	while (!is_idle(db)) {
		if (pthread_create(&db->thread, NULL, run_thread, db) != 0)
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
	for (size_t i = 0; i < db->n_statements; i++)
		sqlite3_finalize(db->statements[i].stmt);
	if (db->handle && !db->broken)
		sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_close(db->handle);
	if (db->wake_event)
		event_free(db->wake_event);
	close_fd(&db->wake_fd);
	pthread_mutex_destroy(&db->lock);
	pthread_cond_destroy(&db->queued);
	free(db);
}
