/*
 * server/db.h, what waits for its turn: order, group commit, reads between commits, and the end.
 */
#include "tests/unit/db_lab.h"
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

static void commits_in_order_and_shares_syncs(void **state)
{
	enum { N = 300 };
	static struct result results[N];
	struct fixture *f = *state;
	char key[16];

	db_lab_called = 0;
	memset(results, 0, sizeof(results));
	db_lab_start(f);
	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		results[i].f = f;
		db_commit(f->db, db_lab_put(key, i),
			i == N - 1 ? db_lab_note_and_leave : db_lab_note, &results[i]);
	}
	event_base_dispatch(f->base);
	for (int i = 0; i < N; i++) {
		assert_int_equal(results[i].order, i + 1);
		assert_false(results[i].failed);
	}
	/* Far fewer turns than transactions, or there is no group commit. */
	assert_in_range(f->committed, 1, N / 2);
	db_stop(f->db);
	assert_int_equal(db_lab_count(f), N);
}

struct read_job {
	struct result result;
	int64_t n;
};

static int read_count(struct db *db, void *arg, struct err *err)
{
	struct read_job *job = arg;

	return db_query(db, "SELECT count(*) FROM totals", db_lab_take_number, &job->n, err, "");
}

static void a_read_sees_what_was_queued_before(void **state)
{
	struct fixture *f = *state;
	struct read_job job = {.result = {.f = f}};

	db_lab_start(f);
	for (int i = 0; i < 3000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		db_commit(f->db, db_lab_put(key, 1), NULL, NULL);
	}
	db_read(f->db, read_count, db_lab_note_and_leave, &job);
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

	db_lab_note(&q->commits[0], err);
	wait_for_gate(&q->gates[1]);
	db_commit(q->commits[1].f->db, db_lab_put("b", 1), db_lab_note, &q->commits[1]);
	open_gate(&q->gates[1]);
}

static void a_commit_waits_for_one_read(void **state)
{
	struct fixture *f = *state;
	struct queue q = {.commits = {{.f = f}, {.f = f}}};

	db_lab_start(f);
	db_lab_called = 0;
	for (int i = 0; i < 2; i++) {
		make_gate(&q.gates[i], f);
		db_read(f->db, wait_at_gate, db_lab_note, &q.gates[i]);
	}
	for (int i = 0; i < READS; i++) {
		q.reads[i].result.f = f;
		db_read(f->db, read_count, i < READS - 1 ? db_lab_note : db_lab_note_and_leave,
			&q.reads[i]);
	}
	wait_for_gate(&q.gates[0]);
	db_commit(f->db, db_lab_put("a", 1), commit_during_second, &q);
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
	db_commit(r->f->db, db_lab_put("second", 1), db_lab_note, r);
}

static void stopping_carries_out_what_callbacks_add(void **state)
{
	struct fixture *f = *state;
	struct result result = {.f = f};

	db_lab_start(f);
	db_commit(f->db, db_lab_put("first", 1), commit_again, &result);
	db_stop(f->db);
	assert_true(result.order);
	assert_int_equal(db_lab_count(f), 2);
}

struct stop {
	struct fixture *f;
	unsigned steps;
	unsigned reads;
	struct err err;
};

static int step(struct db *db, void *arg, struct err *err)
{
	struct stop *stop = arg;

	stop->steps++;
	return db_query(db, "SELECT 1 WHERE 0", NULL, NULL, err, "");
}

static void write_on(void *arg, const struct err *err)
{
	struct stop *stop = arg;

	assert_null(err);
	if (stop->steps < 5)
		db_change(stop->f->db, step, write_on, stop);
}

static void a_stop_waits_for_what_callbacks_write(void **state)
{
	struct fixture *f = *state;
	struct stop stop = {.f = f};

	db_lab_start(f);
	db_change(f->db, step, write_on, &stop);
	db_stop(f->db);
	assert_int_equal(stop.steps, 5);
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

	db_lab_start(f);
	db_read(f->db, step, read_on, &stop);
	db_stop(f->db);
	/* What was asked for before is done. */
	assert_int_equal(stop.reads, 1);
	assert_int_equal(stop.err.code, ERR_UNAVAILABLE);
	assert_string_equal(stop.err.reason, "SHUTTING_DOWN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			commits_in_order_and_shares_syncs, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_read_sees_what_was_queued_before, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_commit_waits_for_one_read, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			stopping_carries_out_what_callbacks_add, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_stop_waits_for_what_callbacks_write, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_stop_does_not_wait_for_who_reads_on, db_lab_make, db_lab_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
