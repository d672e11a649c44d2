/*
 * server/db.h on a real SQLite in a temporary directory: order, group commit, a refused transaction
 * beside good ones, reads, a kill in the middle of work, a damaged file.
 */
#include "server/db.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct fixture {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct db *db;
	int committed; /* batches */
	bool failed;
};

static void on_failed(void *arg, const struct err *err)
{
	struct fixture *f = arg;

	(void)err;
	f->failed = true;
	event_base_loopbreak(f->base);
}

static void on_committed(void *arg)
{
	struct fixture *f = arg;

	f->committed++;
}

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/croft-test-db-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/croft.db", f->dir);
	f->base = event_base_new();
	*state = f;
	return 0;
}

static int drop(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-reserve"};
	struct fixture *f = *state;
	char path[128];

	db_close(f->db);
	event_base_free(f->base);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	struct db_config config = {.failed = on_failed, .committed = on_committed, .arg = f};
	struct err err;

	if (db_open(f->path, &f->db, &err) < 0 || db_start(f->db, f->base, &config, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct db_tx *put(const char *key, int64_t value)
{
	struct db_tx *tx = db_tx_new();

	db_tx_write(tx,
		"INSERT INTO totals (uid, cpu, throttled, memory_high, memory_low, memory_peak,"
		" pids_peak, pids_denied, oom_kills, at_limit, running, runs)"
		" VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
		"si", key, value);
	return tx;
}

struct result {
	struct fixture *f;
	int order; /* of the callbacks; 0: not called */
	bool failed;
	struct err err;
};

static int called;

static void note(void *arg, const struct err *err)
{
	struct result *r = arg;

	r->order = ++called;
	r->failed = err;
	if (err)
		r->err = *err;
}

static void note_and_leave(void *arg, const struct err *err)
{
	struct result *r = arg;

	note(arg, err);
	event_base_loopbreak(r->f->base);
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 0;
}

static int64_t count(struct fixture *f)
{
	int64_t n = -1;
	struct err err;

	assert_int_equal(
		db_query(f->db, "SELECT count(*) FROM totals", take_number, &n, &err, ""), 0);
	return n;
}

static void commits_in_order_and_shares_syncs(void **state)
{
	enum { N = 300 };
	static struct result results[N];
	struct fixture *f = *state;
	char key[16];

	called = 0;
	memset(results, 0, sizeof(results));
	start(f);
	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		results[i].f = f;
		db_commit(f->db, put(key, i), i == N - 1 ? note_and_leave : note, &results[i]);
	}
	event_base_dispatch(f->base);
	for (int i = 0; i < N; i++) {
		assert_int_equal(results[i].order, i + 1);
		assert_false(results[i].failed);
	}
	/* Far fewer turns than transactions, or there is no group commit. */
	assert_in_range(f->committed, 1, N / 2);
	db_stop(f->db);
	assert_int_equal(count(f), N);
}

static void a_refused_one_leaves_the_others_alone(void **state)
{
	struct result results[4] = {0};
	struct fixture *f = *state;
	struct db_tx *tx;

	start(f);
	results[3].f = f;
	db_commit(f->db, put("a", 1), note, &results[0]);
	/* Its first statement succeeds and must be taken back; its second is refused. */
	tx = put("b", 2);
	db_tx_write(tx, "INSERT INTO totals (uid) VALUES (?1)", "s", "a");
	db_commit(f->db, tx, note, &results[1]);
	tx = put("c", 3);
	db_tx_write_one(tx, "UPDATE totals SET cpu=9 WHERE uid=?1", "s", "nothere");
	db_commit(f->db, tx, note, &results[2]);
	db_commit(f->db, put("d", 4), note_and_leave, &results[3]);
	event_base_dispatch(f->base);
	assert_false(results[0].failed);
	assert_true(results[1].failed);
	assert_int_equal(results[1].err.code, ERR_ABORTED);
	assert_true(results[2].failed);
	assert_string_equal(results[2].err.reason, "STATE_CHANGED");
	assert_false(results[3].failed);
	assert_false(f->failed);
	db_stop(f->db);
	assert_int_equal(count(f), 2);
}

struct read_job {
	struct result result;
	int64_t n;
};

static int read_count(struct db *db, void *arg, struct err *err)
{
	struct read_job *job = arg;

	return db_query(db, "SELECT count(*) FROM totals", take_number, &job->n, err, "");
}

static void a_read_sees_what_was_queued_before(void **state)
{
	struct fixture *f = *state;
	struct read_job job = {.result = {.f = f}};

	start(f);
	for (int i = 0; i < 3000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		db_commit(f->db, put(key, 1), NULL, NULL);
	}
	db_read(f->db, read_count, note_and_leave, &job);
	event_base_dispatch(f->base);
	assert_false(job.result.failed);
	assert_int_equal(job.n, 3000);
}

/* Holds the database's thread until the test lets go of it. */
struct gate {
	struct result result;
	int fds[2];   /* to be opened by */
	int begun[2]; /* tells that the thread is at it */
};

static int wait_at_gate(struct db *db, void *arg, struct err *err)
{
	struct gate *gate = arg;
	char byte = 'x';

	(void)db;
	(void)err;
	if (write(gate->begun[1], &byte, 1) != 1)
		return -EIO;
	return read(gate->fds[0], &byte, 1) == 1 ? 0 : -EIO;
}

static void make_gate(struct gate *gate, struct fixture *f)
{
	*gate = (struct gate){.result = {.f = f}};
	assert_int_equal(pipe2(gate->fds, O_CLOEXEC), 0);
	assert_int_equal(pipe2(gate->begun, O_CLOEXEC), 0);
}

static void wait_for_gate(struct gate *gate)
{
	char byte;

	assert_int_equal(read(gate->begun[0], &byte, 1), 1);
}

static void open_gate(struct gate *gate)
{
	assert_int_equal(write(gate->fds[1], "x", 1), 1);
}

static void close_gate(struct gate *gate)
{
	for (int i = 0; i < 2; i++) {
		close(gate->fds[i]);
		close(gate->begun[i]);
	}
}

#define READS 8

/* Two reads that last, many behind them, and two commits: each during one of those that last. */
struct queue {
	struct gate gates[2];
	struct read_job reads[READS];
	struct result commits[2];
};

static void commit_during_second(void *arg, const struct err *err)
{
	struct queue *q = arg;

	note(&q->commits[0], err);
	wait_for_gate(&q->gates[1]);
	db_commit(q->commits[1].f->db, put("b", 1), note, &q->commits[1]);
	open_gate(&q->gates[1]);
}

static void a_commit_waits_for_one_read(void **state)
{
	struct fixture *f = *state;
	struct queue q = {.commits = {{.f = f}, {.f = f}}};

	start(f);
	called = 0;
	for (int i = 0; i < 2; i++) {
		make_gate(&q.gates[i], f);
		db_read(f->db, wait_at_gate, note, &q.gates[i]);
	}
	for (int i = 0; i < READS; i++) {
		q.reads[i].result.f = f;
		db_read(f->db, read_count, i < READS - 1 ? note : note_and_leave, &q.reads[i]);
	}
	wait_for_gate(&q.gates[0]);
	db_commit(f->db, put("a", 1), commit_during_second, &q);
	open_gate(&q.gates[0]);
	event_base_dispatch(f->base);
	assert_int_equal(q.gates[0].result.order, 1);
	assert_int_equal(q.commits[0].order, 2);
	assert_int_equal(q.gates[1].result.order, 3);
	assert_int_equal(q.commits[1].order, 4);
	for (int i = 0; i < READS; i++) {
		assert_int_equal(q.reads[i].result.order, 5 + i);
		assert_int_equal(q.reads[i].n, 2);
	}
	close_gate(&q.gates[0]);
	close_gate(&q.gates[1]);
}

static void commit_again(void *arg, const struct err *err)
{
	struct result *r = arg;

	assert_null(err);
	db_commit(r->f->db, put("second", 1), note, r);
}

static void stopping_carries_out_what_callbacks_add(void **state)
{
	struct fixture *f = *state;
	struct result result = {.f = f};

	start(f);
	db_commit(f->db, put("first", 1), commit_again, &result);
	db_stop(f->db);
	assert_true(result.order);
	assert_int_equal(count(f), 2);
}

static void values_come_back_as_given(void **state)
{
	struct fixture *f = *state;
	struct db_tx *tx = db_tx_new();
	int64_t n = 0;
	struct err err;

	start(f);
	db_tx_write(tx,
		"INSERT INTO requests (key, fingerprint, caller, reply, wall)"
		" VALUES (?1, ?2, ?3, ?4, ?5)",
		"sssbu", "k", "", "c", (const void *)"a\0b", (size_t)3, UINT64_MAX);
	db_commit(f->db, tx, NULL, NULL);
	db_stop(f->db);
	assert_int_equal(db_query(f->db,
				 "SELECT count(*) FROM requests WHERE fingerprint = '' AND"
				 " length(reply) = 3 AND wall = -1",
				 take_number, &n, &err, ""),
		0);
	assert_int_equal(n, 1);
}

/* Commits one after the other for ever, and says each time how far it is safe. */
static void __attribute__((noreturn)) work_until_killed(struct fixture *f, int out)
{
	struct event_base *base = event_base_new();
	struct db_config config = {0};
	struct err err;

	if (db_open(f->path, &f->db, &err) < 0 || db_start(f->db, base, &config, &err) < 0)
		_exit(1);
	for (int64_t i = 1;; i++) {
		struct result result = {.f = &(struct fixture){.base = base}};
		char key[24];

		snprintf(key, sizeof(key), "%08" PRId64, i);
		db_commit(f->db, put(key, i), note_and_leave, &result);
		event_base_dispatch(base);
		if (result.failed || write(out, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static void what_was_promised_survives_a_kill(void **state)
{
	struct fixture *f = *state;
	int pipes[2];
	int64_t promised = 0;
	int64_t n = 0;
	int status;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		work_until_killed(f, pipes[1]);
	close(pipes[1]);
	while (promised < 50)
		assert_int_equal(read(pipes[0], &promised, sizeof(promised)), sizeof(promised));
	kill(pid, SIGKILL);
	while (read(pipes[0], &n, sizeof(n)) == sizeof(n))
		promised = n;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	start(f);
	db_stop(f->db);
	/* One more may be durable than was told. */
	assert_in_range(count(f), promised, promised + 1);
	assert_false(f->failed);
}

static void a_damaged_file_stops_the_service(void **state)
{
	struct fixture *f = *state;
	char garbage[4096];
	struct stat empty;
	struct db_tx *tx;
	int fd;

	start(f);
	db_close(f->db);
	assert_int_equal(stat(f->path, &empty), 0);
	start(f);
	for (int i = 0; i < 400; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		tx = put(key, i);
		db_commit(f->db, tx, NULL, NULL);
	}
	db_close(f->db);
	f->db = NULL;
	/* What has come since is pages of rows; the schema before it stays readable. */
	memset(garbage, 0x5a, sizeof(garbage));
	fd = open(f->path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t at = lseek(fd, 0, SEEK_END) - (off_t)sizeof(garbage); at >= empty.st_size;
		at -= 4096)
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
	close(fd);
	start(f);
	event_base_dispatch(f->base);
	assert_true(f->failed);
}

/* SQLite's own bound stands for the disk's: both are SQLITE_FULL. */
static int allow_no_page(struct db *db, void *arg, struct err *err)
{
	int64_t ignored;

	(void)arg;
	return db_query(db, "PRAGMA max_page_count=1", take_number, &ignored, err, "");
}

static int allow_pages(struct db *db, void *arg, struct err *err)
{
	int64_t ignored;

	(void)arg;
	return db_query(db, "PRAGMA max_page_count=1000000", take_number, &ignored, err, "");
}

static struct db_tx *put_large(struct db_tx *tx, const char *key)
{
	static const char large[1 << 18];

	db_tx_write(tx,
		"INSERT INTO requests (key, fingerprint, caller, reply, wall)"
		" VALUES (?1, '', '', ?2, 0)",
		"sb", key, (const void *)large, sizeof(large));
	return tx;
}

static struct db_tx *raise_essential(const char *key)
{
	struct db_tx *tx = db_tx_new_essential();

	db_tx_write(tx, "UPDATE totals SET cpu=cpu+1 WHERE uid=?1", "s", key);
	return tx;
}

static void a_full_disk_refuses_all_but_the_essential(void **state)
{
	struct result results[6] = {0};
	struct fixture *f = *state;
	int64_t cpu = 0;
	struct err err;

	start(f);
	db_commit(f->db, put("a", 1), NULL, NULL);
	db_read(f->db, allow_no_page, note_and_leave, &results[0]);
	results[0].f = f;
	event_base_dispatch(f->base);
	results[3].f = results[4].f = f;
	/* In one batch: one is taken back, and the others are carried out without it. */
	db_commit(f->db, raise_essential("a"), note, &results[1]);
	db_commit(f->db, put_large(db_tx_new(), "large"), note, &results[2]);
	db_commit(f->db, raise_essential("a"), note_and_leave, &results[3]);
	event_base_dispatch(f->base);
	assert_false(results[1].failed);
	assert_true(results[2].failed);
	assert_string_equal(results[2].err.reason, "STATE_DISK_FULL");
	assert_int_equal(results[2].err.code, ERR_RESOURCE_EXHAUSTED);
	assert_false(results[3].failed);
	assert_true(db_is_full(f->db));
	db_commit(f->db, put_large(db_tx_new(), "more"), note, &results[4]);
	/* What is essential fails as well where nothing is left at all. */
	db_commit(f->db, put_large(db_tx_new_essential(), "larger"), note_and_leave, &results[5]);
	results[5].f = f;
	event_base_dispatch(f->base);
	assert_true(results[4].failed);
	assert_true(results[5].failed);
	assert_string_equal(results[5].err.reason, "STATE_DISK_FULL");
	assert_false(f->failed);
	db_stop(f->db);
	assert_int_equal(count(f), 1);
	assert_int_equal(db_query(f->db, "SELECT cpu FROM totals", take_number, &cpu, &err, ""), 0);
	assert_int_equal(cpu, 3);
}

static void room_is_noticed(void **state)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	struct fixture *f = *state;
	struct result full = {.f = f};
	struct result after = {.f = f};

	start(f);
	db_read(f->db, allow_no_page, note_and_leave, &after);
	event_base_dispatch(f->base);
	db_commit(f->db, put_large(db_tx_new(), "large"), note_and_leave, &full);
	event_base_dispatch(f->base);
	assert_true(full.failed);
	db_read(f->db, allow_pages, note, &after);
	for (int i = 0; i < 1000 && db_is_full(f->db); i++)
		nanosleep(&pause, NULL);
	assert_false(db_is_full(f->db));
	db_commit(f->db, put_large(db_tx_new(), "large"), note_and_leave, &after);
	event_base_dispatch(f->base);
	assert_false(after.failed);
}

static void a_later_version_is_refused(void **state)
{
	struct fixture *f = *state;
	sqlite3 *handle;
	struct err err;

	assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
	sqlite3_exec(handle, "PRAGMA user_version=999", NULL, NULL, NULL);
	sqlite3_close(handle);
	assert_true(db_open(f->path, &f->db, &err) < 0);
	assert_string_equal(err.reason, "STATE_TOO_NEW");
}

/* --- stopping --- */

struct stop {
	struct fixture *f;
	sqlite3 *handle;
	unsigned checks; /* of the file's integrity, behind the first step */
	unsigned steps;
	unsigned reads;
	struct err err;
};

static int note_check(unsigned what, void *arg, void *statement, void *sql)
{
	struct stop *stop = arg;

	(void)what;
	(void)statement;
	stop->checks += strstr(sql, "quick_check") != NULL;
	return 0;
}

static int take_handle(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(sqlite3 **)arg = sqlite3_db_handle(row);
	return 0;
}

static int step(struct db *db, void *arg, struct err *err)
{
	struct stop *stop = arg;
	int r = db_query(db, "SELECT 1", take_handle, &stop->handle, err, "");

	if (!stop->steps++)
		sqlite3_trace_v2(stop->handle, SQLITE_TRACE_STMT, note_check, stop);
	return r;
}

static void write_on(void *arg, const struct err *err)
{
	struct stop *stop = arg;

	assert_null(err);
	if (stop->steps < 5)
		db_change(stop->f->db, step, write_on, stop);
}

/* What callbacks go on to write is written, and the file, which may be large, is not read for it.
 */
static void a_stop_checks_nothing_again(void **state)
{
	struct fixture *f = *state;
	struct stop stop = {.f = f};

	start(f);
	db_change(f->db, step, write_on, &stop);
	db_stop(f->db);
	sqlite3_trace_v2(stop.handle, 0, NULL, NULL);
	assert_int_equal(stop.steps, 5);
	assert_int_equal(stop.checks, 0);
}

static void read_on(void *arg, const struct err *err)
{
	struct stop *stop = arg;

	if (err)
		stop->err = *err;
	else if (++stop->reads < 1000)
		db_read(stop->f->db, step, read_on, stop);
}

static void a_stop_does_not_wait_for_who_reads_on(void **state)
{
	struct fixture *f = *state;
	struct stop stop = {.f = f};

	start(f);
	db_read(f->db, step, read_on, &stop);
	db_stop(f->db);
	sqlite3_trace_v2(stop.handle, 0, NULL, NULL);
	/* What was asked for before is done. */
	assert_int_equal(stop.reads, 1);
	assert_int_equal(stop.err.code, ERR_UNAVAILABLE);
	assert_string_equal(stop.err.reason, "SHUTTING_DOWN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commits_in_order_and_shares_syncs, make, drop),
		cmocka_unit_test_setup_teardown(a_refused_one_leaves_the_others_alone, make, drop),
		cmocka_unit_test_setup_teardown(a_read_sees_what_was_queued_before, make, drop),
		cmocka_unit_test_setup_teardown(a_commit_waits_for_one_read, make, drop),
		cmocka_unit_test_setup_teardown(
			stopping_carries_out_what_callbacks_add, make, drop),
		cmocka_unit_test_setup_teardown(values_come_back_as_given, make, drop),
		cmocka_unit_test_setup_teardown(what_was_promised_survives_a_kill, make, drop),
		cmocka_unit_test_setup_teardown(a_damaged_file_stops_the_service, make, drop),
		cmocka_unit_test_setup_teardown(
			a_full_disk_refuses_all_but_the_essential, make, drop),
		cmocka_unit_test_setup_teardown(room_is_noticed, make, drop),
		cmocka_unit_test_setup_teardown(a_stop_checks_nothing_again, make, drop),
		cmocka_unit_test_setup_teardown(a_stop_does_not_wait_for_who_reads_on, make, drop),
		cmocka_unit_test_setup_teardown(a_later_version_is_refused, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
