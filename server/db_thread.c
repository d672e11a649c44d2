/*
 * The database's thread: batches, group commits, and what a full disk leaves possible; see db.h.
 *
 * A transaction whose commit's fate is unknown (an I/O error, a failed sync) is never called
 * committed, and ends the service: what the page cache then holds says nothing about the disk. Of a
 * full disk the fate is known: what was not written is not in the log.
 */
#include "server/db_internal.h"

#include "base/log.h"
#include "server/reserve.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX	   1024 /* transactions sharing one commit: bounds its latency */
#define FULL_PAUSE_SECONDS 1	/* between two looks for room */

bool db_is_fatal(int code)
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

void db_mark_broken(struct db *db, const struct err *err)
{
	pthread_mutex_lock(&db->lock);
	if (!db->broken) {
		db->broken = true;
		db->broken_err = *err;
		pthread_cond_signal(&db->queued);
	}
	pthread_mutex_unlock(&db->lock);
}

static void fail_job(struct db_job *job, const struct err *err)
{
	job->failed = true;
	job->err = *err;
}

/* After any failure SQLite may have rolled the whole transaction back by itself. */
static bool transaction_lost(const struct db *db)
{
	return sqlite3_get_autocommit(db->handle);
}

static int run_in_savepoint(struct db *db, struct db_job *job, struct err *err)
{
	struct err ignored;
	int r = db_run_sql(db, "SAVEPOINT job", err);

	if (r < 0)
		return r;
	r = job->work ? job->work(db, job->arg, &job->err) : db_tx_run(db, job->tx, &job->err);
	if (r < 0) {
		job->failed = true;
		if (transaction_lost(db) || db_error_is_full(&job->err)) {
			*err = job->err;
			return r;
		}
		db_run_sql(db, "ROLLBACK TO job", &ignored);
	}
	return db_run_sql(db, "RELEASE job", err);
}

static void run_reads(struct db *db, struct db_job_list *batch)
{
	struct db_job *job;

	STAILQ_FOREACH(job, batch, entry)
	{
		if (job->work(db, job->arg, &job->err) == 0)
			continue;
		job->failed = true;
		if (db_is_fatal(sqlite3_errcode(db->handle)) && !db_error_is_full(&job->err))
			db_mark_broken(db, &job->err);
	}
}

/* All jobs that have not failed, as one transaction. On failure none of them is durable. */
static int try_writes(struct db *db, struct db_job_list *batch, struct err *err)
{
	struct db_job *job;
	int code = SQLITE_OK;
	int r = db_run_sql(db, "BEGIN", err);

	STAILQ_FOREACH(job, batch, entry)
	{
		if (r == 0 && !job->failed)
			r = run_in_savepoint(db, job, err);
	}
	if (r == 0) {
		code = sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL);
		if (code == SQLITE_OK)
			return 0;
		r = db_error(db, code, "commit", err);
	} else {
		code = sqlite3_extended_errcode(db->handle);
	}
	if (!transaction_lost(db))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	if (db_is_fatal(code) && !db_error_is_full(err))
		db_mark_broken(db, err);
	return r;
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void set_full(struct db *db, bool full)
{
	db->looked = seconds();
	pthread_mutex_lock(&db->lock);
	db->full = full;
	pthread_mutex_unlock(&db->lock);
}

/* Gives back what is kept for this, and what of the log is in the database already. */
static void make_room(struct db *db)
{
	reserve_release(db->reserve);
	sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (db->full)
		return;
	log_error("state-disk-full: only ends, stops and deletions are recorded until there is "
		  "room");
	set_full(db, true);
}

/* Fails what may not use the reserve. Returns how many are left. */
static size_t refuse_optional(struct db_job_list *batch, const struct err *err)
{
	struct db_job *job;
	size_t left = 0;

	STAILQ_FOREACH(job, batch, entry)
	{
		if (job->failed && !db_error_is_full(&job->err))
			continue;
		if (job->tx && job->tx->essential) {
			job->failed = false;
			left++;
		} else {
			fail_job(job, err);
		}
	}
	return left;
}

static void run_writes(struct db *db, struct db_job_list *batch)
{
	struct db_job *job;
	struct err err;
	int r;

	db_refuse_full(&err);
	if (db->full && !refuse_optional(batch, &err))
		return;
	r = try_writes(db, batch, &err);
	if (r < 0 && db_error_is_full(&err)) {
		make_room(db);
		if (!refuse_optional(batch, &err))
			return;
		r = try_writes(db, batch, &err);
	}
	if (r == 0)
		return;
	STAILQ_FOREACH(job, batch, entry)
	fail_job(job, &err);
}

/* When the reserve can be made again, and as much is free beside it, the disk is not full. */
static void look_for_room(struct db *db)
{
	if (!db->full || seconds() - db->looked < FULL_PAUSE_SECONDS)
		return;
	db->looked = seconds();
	if (reserve_make(db->reserve) < 0)
		return;
	log_info("state-disk-has-room");
	set_full(db, false);
}

static void wake_loop(struct db *db)
{
	uint64_t one = 1;

	if (write(db->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("database wake-up failed errno=%d", errno);
}

/* Waits for a job; while the disk is full, not for longer than until it is looked for room. */
static void wait_for_job(struct db *db)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FULL_PAUSE_SECONDS;
	while (STAILQ_EMPTY(&db->writes) && STAILQ_EMPTY(&db->reads) && !db->stopping &&
		!db->broken) {
		if (!db->full)
			pthread_cond_wait(&db->queued, &db->lock);
		else if (pthread_cond_timedwait(&db->queued, &db->lock, &until) != 0)
			break;
	}
}

/*
 * Whether a read is next. Of those that wait, one is carried out between two batches of writes:
 * a commit never waits for more than one read, however many there are. A read sees all that was
 * asked to be written before it, and nothing that may be rolled back.
 */
static bool read_is_next(const struct db *db)
{
	const struct db_job *read = STAILQ_FIRST(&db->reads);
	const struct db_job *write = STAILQ_FIRST(&db->writes);

	if (!read || !write)
		return read;
	return db->wrote_last && read->number < write->number;
}

/* Up to BATCH_MAX writes, or one read. */
static void move_jobs(struct db *db, struct db_job_list *batch)
{
	bool is_read = read_is_next(db);
	struct db_job_list *queue = is_read ? &db->reads : &db->writes;
	struct db_job *job;

	for (int i = 0; i < (is_read ? 1 : BATCH_MAX) && (job = STAILQ_FIRST(queue)); i++) {
		STAILQ_REMOVE_HEAD(queue, entry);
		STAILQ_INSERT_TAIL(batch, job, entry);
	}
	db->wrote_last = !is_read;
}

/* The next jobs to be carried out together. False: time to end. */
static bool take_batch(
	struct db *db, struct db_job_list *batch, bool *ret_broken, struct err *ret_err)
{
	bool go_on;

	STAILQ_INIT(batch);
	pthread_mutex_lock(&db->lock);
	wait_for_job(db);
	move_jobs(db, batch);
	*ret_broken = db->broken;
	*ret_err = db->broken_err;
	go_on = !STAILQ_EMPTY(batch) || (!db->stopping && !db->broken);
	pthread_mutex_unlock(&db->lock);
	return go_on;
}

static void hand_back(
	struct db *db, struct db_job_list *batch, bool broken, const struct err *broken_err)
{
	struct db_job *job;

	if (STAILQ_EMPTY(batch))
		return;
	pthread_mutex_lock(&db->lock);
	while ((job = STAILQ_FIRST(batch))) {
		STAILQ_REMOVE_HEAD(batch, entry);
		if (broken)
			fail_job(job, broken_err);
		db->wrote |= job->is_write && !job->failed;
		STAILQ_INSERT_TAIL(&db->finished, job, entry);
	}
	pthread_mutex_unlock(&db->lock);
	wake_loop(db);
}

void *db_thread_run(void *arg)
{
	struct db *db = arg;
	struct db_job_list batch;
	struct err err;
	bool broken;

	if (reserve_make(db->reserve) < 0)
		make_room(db);
	while (take_batch(db, &batch, &broken, &err)) {
		look_for_room(db);
		if (!broken && !STAILQ_EMPTY(&batch)) {
			if (STAILQ_FIRST(&batch)->is_write)
				run_writes(db, &batch);
			else
				run_reads(db, &batch);
		}
		hand_back(db, &batch, broken, &err);
	}
	wake_loop(db);
	return NULL;
}
