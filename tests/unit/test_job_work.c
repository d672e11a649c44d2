/* Jobs that work for somebody (work_of), and are ended for that. */
#include "tests/unit/unit.h"

#include "sandbox/job.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WAITING 7

struct fixture {
	struct reactor *reactor;
	struct jobs *jobs;
	struct timer deadline;
	bool late;
	int n_begun;
	int n_done;
	int n_ended;
	int n_lost;
	int gate[2]; /* closed: workers go on */
	struct err err;
};

static void on_deadline(struct timer *timer)
{
	struct fixture *f = timer->arg;

	f->late = true;
	reactor_stop(f->reactor);
}

static const struct job_hooks hooks;

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (pipe2(f->gate, O_CLOEXEC) < 0 || reactor_create(&f->reactor, &f->err) < 0 ||
		jobs_create(f->reactor, &hooks, f, &f->jobs, &f->err) < 0)
		return -1;
	timer_start(f->reactor, &f->deadline, 30000, on_deadline, f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	jobs_destroy(f->jobs);
	timer_stop(&f->deadline);
	reactor_destroy(f->reactor);
	close_fd(&f->gate[0]);
	close_fd(&f->gate[1]);
	free(f);
	return 0;
}

/* Until the gate is opened. */
static int wait_at_gate(void *arg, struct job_output *out, struct err *err)
{
	struct fixture *f = arg;
	char c;

	(void)out;
	close(f->gate[1]);
	return read(f->gate[0], &c, 1) < 0 ? err_sys(err, errno, "read") : 0;
}

static void done(void *arg, struct job_result *result)
{
	struct fixture *f = arg;

	f->n_lost += result->lost;
	if (result->r < 0) {
		assert_int_equal(result->err.code, ERR_ABORTED);
		assert_string_equal(result->err.reason, "WORK_ENDED");
		f->n_ended++;
	}
	if (++f->n_done == f->n_begun)
		reactor_stop(f->reactor);
}

static void begin(struct fixture *f, const char *work_of, bool finishing)
{
	struct job_options options = {
		.fn = wait_at_gate,
		.done = done,
		.arg = f,
		.into_cgroup_fd = -1,
		.work_of = work_of,
		.finishing = finishing,
	};

	f->n_begun++;
	assert_int_equal(job_start(f->jobs, &options, &f->err), 0);
}

static void open_gate_and_run(struct fixture *f)
{
	close_fd(&f->gate[1]);
	assert_int_equal(reactor_run(f->reactor, NULL), 0);
	assert_false(f->late);
	assert_int_equal(f->n_done, f->n_begun);
	assert_int_equal(jobs_end_work(f->jobs, NULL), 0);
}

/* What runs is killed, what waits never runs; nobody else's, nor what cleans up, is touched. */
static void work_of_one_tenant(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < JOB_RUNNING_MAX - 3; i++)
		begin(f, "acme", false);
	begin(f, "acme", true);
	begin(f, "other", false);
	begin(f, NULL, false);
	for (int i = 0; i < WAITING; i++)
		begin(f, "acme", false);
	assert_int_equal(jobs_end_work(f->jobs, "nobody"), 0);
	assert_int_equal(jobs_end_work(f->jobs, "acme"), JOB_RUNNING_MAX - 2 + WAITING);
	/* Those that waited are done with at once, those that ran when they have been reaped. */
	assert_int_equal(f->n_ended, WAITING);
	assert_int_equal(f->n_lost, 0);
	assert_int_equal(jobs_end_work(f->jobs, "acme"), JOB_RUNNING_MAX - 2);
	open_gate_and_run(f);
	assert_int_equal(f->n_ended, JOB_RUNNING_MAX - 3 + WAITING);
	assert_int_equal(f->n_lost, JOB_RUNNING_MAX - 3);
}

static void work_of_all(void **state)
{
	struct fixture *f = *state;

	begin(f, "acme", false);
	begin(f, "", false);
	begin(f, NULL, false);
	assert_int_equal(jobs_end_work(f->jobs, NULL), 2);
	open_gate_and_run(f);
	assert_int_equal(f->n_ended, 2);
}

/* A place of theirs is free again for who waits. */
static void others_get_their_turn(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < JOB_RUNNING_MAX; i++)
		begin(f, "acme", false);
	begin(f, "other", false);
	assert_int_equal(jobs_end_work(f->jobs, "acme"), JOB_RUNNING_MAX);
	open_gate_and_run(f);
	assert_int_equal(f->n_ended, JOB_RUNNING_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(work_of_one_tenant, setup, teardown),
		cmocka_unit_test_setup_teardown(work_of_all, setup, teardown),
		cmocka_unit_test_setup_teardown(others_get_their_turn, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
