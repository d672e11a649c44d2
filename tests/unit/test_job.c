/* Jobs: one result for each, whatever becomes of its worker. */
#include "tests/unit/unit.h"

#include "sandbox/job.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MANY (JOB_RUNNING_MAX * 2 + 7)

/* Seen by every worker. */
struct shared {
	_Atomic int running;
	_Atomic int peak;
	_Atomic int ran;
};

struct fixture {
	struct reactor *reactor;
	struct jobs *jobs;
	struct shared *shared;
	struct timer deadline;
	bool late;
	int expected;
	int n_done;
	int n_failed;
	int n_progress;
	char progress[64];
	/* Of the last that was done. */
	int r;
	struct err err;
	char payload[64];
	size_t size;
	size_t n_fds;
	int kept_fd;
	int first_fd;
	int hold[2];
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
	f->kept_fd = -1;
	f->expected = 1;
	f->shared = mmap(NULL, sizeof(*f->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->shared == MAP_FAILED || pipe2(f->hold, O_CLOEXEC) < 0 ||
		reactor_create(&f->reactor, &f->err) < 0 ||
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
	munmap(f->shared, sizeof(*f->shared));
	close_fd(&f->kept_fd);
	close_fd(&f->hold[0]);
	close_fd(&f->hold[1]);
	free(f);
	/* No worker is left, dead or alive. */
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1;
}

static void done(void *arg, struct job_result *result)
{
	struct fixture *f = arg;

	f->n_done++;
	f->n_failed += result->r < 0;
	f->r = result->r;
	f->err = result->err;
	f->size = result->size;
	f->n_fds = result->n_fds;
	if (result->payload && result->size < sizeof(f->payload))
		memcpy(f->payload, result->payload, result->size);
	if (result->n_fds) {
		f->first_fd = result->fds[0];
		f->kept_fd = result->fds[result->n_fds - 1];
		result->fds[result->n_fds - 1] = -1;
	}
	if (f->n_done == f->expected)
		reactor_stop(f->reactor);
}

static void progressed(void *arg, const void *data, size_t size)
{
	struct fixture *f = arg;

	f->n_progress++;
	assert_true(size < sizeof(f->progress));
	memcpy(f->progress, data, size);
	f->progress[size] = '\0';
}

static void start(struct fixture *f, job_fn fn, unsigned timeout_ms)
{
	struct job_options options = {
		.fn = fn,
		.done = done,
		.progress = progressed,
		.arg = f,
		.into_cgroup_fd = -1,
		.timeout_ms = timeout_ms,
	};

	assert_int_equal(job_start(f->jobs, &options, &f->err), 0);
	assert_true(jobs_more_than(f->jobs, 0));
}

static void run(struct fixture *f)
{
	assert_int_equal(reactor_run(f->reactor, NULL), 0);
	assert_false(f->late);
	assert_false(jobs_more_than(f->jobs, 0));
	assert_int_equal(f->n_done, f->expected);
}

static int answer(void *arg, struct job_output *out, struct err *err)
{
	(void)arg;
	(void)err;
	memcpy(out->payload, "hello", 5);
	out->size = 5;
	return 0;
}

static void a_result_comes_back(void **state)
{
	struct fixture *f = *state;

	start(f, answer, 0);
	assert_int_equal(f->n_done, 0);
	run(f);
	assert_int_equal(f->r, 0);
	assert_int_equal(f->size, 5);
	assert_memory_equal(f->payload, "hello", 5);
	assert_int_equal(f->n_fds, 0);
}

static int refuse(void *arg, struct job_output *out, struct err *err)
{
	(void)arg;
	(void)out;
	return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids", "full");
}

static void an_error_comes_back_whole(void **state)
{
	struct fixture *f = *state;

	start(f, refuse, 0);
	run(f);
	assert_int_equal(f->r, err_code_to_errno(ERR_RESOURCE_EXHAUSTED));
	assert_int_equal(f->err.code, ERR_RESOURCE_EXHAUSTED);
	assert_string_equal(f->err.reason, "PIDS_LIMIT");
	assert_string_equal(f->err.subject, "pids");
	assert_string_equal(f->err.msg, "full");
}

static int fill(void *arg, struct job_output *out, struct err *err)
{
	(void)arg;
	(void)err;
	memset(out->payload, 'x', JOB_PAYLOAD_MAX);
	out->size = JOB_PAYLOAD_MAX;
	for (out->n_fds = 0; out->n_fds < JOB_FDS_MAX; out->n_fds++)
		out->fds[out->n_fds] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

static void the_largest_result_fits(void **state)
{
	struct fixture *f = *state;

	start(f, fill, 0);
	run(f);
	assert_int_equal(f->r, 0);
	assert_int_equal(f->size, JOB_PAYLOAD_MAX);
	assert_int_equal(f->n_fds, JOB_FDS_MAX);
	/* What the callback took stays open; the rest is closed. */
	assert_true(fcntl(f->kept_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(f->first_fd, F_GETFD), -1);
}

static int report(void *arg, struct job_output *out, struct err *err)
{
	job_progress(out, "one", 3);
	job_progress(out, "two", 3);
	job_progress(out, "too large", JOB_PAYLOAD_MAX + 1);
	job_progress(out, "three", 5);
	return answer(arg, out, err);
}

static void progress_comes_before_the_result(void **state)
{
	struct fixture *f = *state;

	start(f, report, 0);
	run(f);
	assert_int_equal(f->n_progress, 3);
	assert_string_equal(f->progress, "three");
	assert_memory_equal(f->payload, "hello", 5);
}

static int wait_to_be_seen(void *arg, struct job_output *out, struct err *err)
{
	struct fixture *f = arg;
	char c;

	close(f->hold[1]);
	job_progress(out, "here", 4);
	return read(f->hold[0], &c, 1) == 0 ? 0 : err_set(err, ERR_INTERNAL, "X", "x");
}

static void release(void *arg, const void *data, size_t size)
{
	struct fixture *f = arg;

	progressed(arg, data, size);
	assert_int_equal(f->n_done, 0);
	close_fd(&f->hold[1]);
}

/* It ends only once its progress has been seen: so that arrives while it runs. */
static void progress_arrives_while_the_worker_runs(void **state)
{
	struct fixture *f = *state;
	struct job_options options = {
		.fn = wait_to_be_seen,
		.done = done,
		.progress = release,
		.arg = f,
		.into_cgroup_fd = -1,
	};

	assert_int_equal(job_start(f->jobs, &options, &f->err), 0);
	run(f);
	assert_int_equal(f->r, 0);
	assert_string_equal(f->progress, "here");
}

static int die(void *arg, struct job_output *out, struct err *err)
{
	(void)arg;
	(void)out;
	(void)err;
	kill(getpid(), SIGKILL);
	return 0;
}

static int leave(void *arg, struct job_output *out, struct err *err)
{
	(void)arg;
	(void)out;
	(void)err;
	_exit(0);
}

static int die_after_progress(void *arg, struct job_output *out, struct err *err)
{
	job_progress(out, "last", 4);
	return die(arg, out, err);
}

static void assert_died(struct fixture *f)
{
	run(f);
	assert_int_equal(f->err.code, ERR_INTERNAL);
	assert_string_equal(f->err.reason, "WORKER_DIED");
	assert_int_equal(f->n_fds, 0);
	f->n_done = 0;
}

static void a_killed_worker_is_an_error(void **state)
{
	struct fixture *f = *state;

	start(f, die, 0);
	assert_died(f);
}

static void a_worker_that_says_nothing_is_an_error(void **state)
{
	struct fixture *f = *state;

	start(f, leave, 0);
	assert_died(f);
}

static void progress_is_no_result(void **state)
{
	struct fixture *f = *state;

	start(f, die_after_progress, 0);
	assert_died(f);
	assert_string_equal(f->progress, "last");
}

static int hang(void *arg, struct job_output *out, struct err *err)
{
	(void)arg;
	(void)out;
	(void)err;
	while (pause() < 0)
		;
	return 0;
}

static void a_worker_that_takes_too_long_is_killed(void **state)
{
	struct fixture *f = *state;

	start(f, hang, 50);
	run(f);
	assert_int_equal(f->err.code, ERR_DEADLINE_EXCEEDED);
	assert_string_equal(f->err.reason, "WORKER_TIMEOUT");
}

static int count(void *arg, struct job_output *out, struct err *err)
{
	struct fixture *f = arg;
	int running = ++f->shared->running;
	int peak = f->shared->peak;
	char c;

	(void)out;
	(void)err;
	close(f->hold[1]);
	while (running > peak && !atomic_compare_exchange_strong(&f->shared->peak, &peak, running))
		;
	f->shared->ran++;
	/* The first batch waits for a word, so that as many as may run do run together. */
	if (read(f->hold[0], &c, 1) < 0)
		return -1;
	f->shared->running--;
	return 0;
}

static void open_the_gate_when_full(struct timer *timer)
{
	struct fixture *f = timer->arg;

	if (f->shared->running == JOB_RUNNING_MAX)
		close_fd(&f->hold[1]);
	else
		timer_start(f->reactor, timer, 5, open_the_gate_when_full, f);
}

static void jobs_above_the_limit_wait_for_their_turn(void **state)
{
	struct fixture *f = *state;
	struct timer gate = {0};

	f->expected = MANY;
	for (int i = 0; i < MANY; i++)
		start(f, count, 0);
	timer_start(f->reactor, &gate, 5, open_the_gate_when_full, f);
	run(f);
	assert_int_equal(f->shared->ran, MANY);
	assert_int_equal(f->shared->peak, JOB_RUNNING_MAX);
	assert_int_equal(f->n_failed, 0);
}

static void open_the_gate(void *arg, struct job_result *result)
{
	struct fixture *f = arg;

	assert_memory_equal(result->payload, "hello", 5);
	assert_int_equal(f->n_done, 0);
	close_fd(&f->hold[1]);
	done(arg, result);
}

static void start_for(struct fixture *f, job_fn fn, job_done_fn then, const char *tenant)
{
	struct job_options options = {
		.fn = fn,
		.done = then,
		.arg = f,
		.into_cgroup_fd = -1,
		.tenant = tenant,
	};

	assert_int_equal(job_start(f->jobs, &options, &f->err), 0);
}

/* One tenant has its processes keep every worker that it can get: another is served meanwhile. */
static void a_tenant_cannot_take_every_place(void **state)
{
	struct fixture *f = *state;

	f->expected = MANY + 1;
	for (int i = 0; i < MANY; i++)
		start_for(f, count, done, "hostile");
	start_for(f, answer, open_the_gate, "other");
	run(f);
	assert_int_equal(f->shared->ran, MANY);
	assert_true(f->shared->peak <= JOB_TENANT_MAX);
	assert_int_equal(f->n_failed, 0);
}

/* All of them together: what waits for none of them is done meanwhile. */
static void tenants_cannot_take_every_place(void **state)
{
	struct fixture *f = *state;
	char names[JOB_RUNNING_MAX][8];

	f->expected = JOB_RUNNING_MAX + 1;
	for (int i = 0; i < JOB_RUNNING_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "t%d", i);
		start_for(f, count, done, names[i]);
	}
	start_for(f, answer, open_the_gate, NULL);
	run(f);
	assert_true(f->shared->peak <= JOB_TENANTS_MAX);
	assert_int_equal(f->n_failed, 0);
}

/* Places are given back by those that die, too. */
static void the_queue_outlives_dying_workers(void **state)
{
	struct fixture *f = *state;

	f->expected = MANY * 2;
	for (int i = 0; i < MANY; i++) {
		start(f, die, 0);
		start(f, answer, 0);
	}
	run(f);
	assert_int_equal(f->n_failed, MANY);
}

static void start_another(void *arg, struct job_result *result)
{
	struct fixture *f = arg;

	assert_int_equal(result->r, 0);
	if (++f->n_done == 1)
		start(f, answer, 0);
}

static void a_callback_may_start_a_job(void **state)
{
	struct fixture *f = *state;
	struct job_options options = {
		.fn = answer, .done = start_another, .arg = f, .into_cgroup_fd = -1};

	f->expected = 2;
	assert_int_equal(job_start(f->jobs, &options, &f->err), 0);
	run(f);
}

static void destroying_kills_without_a_word(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < MANY; i++)
		start(f, hang, 0);
	jobs_destroy(f->jobs);
	f->jobs = NULL;
	assert_int_equal(f->n_done, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void no_job_can_start_in_what_is_no_cgroup(void **state)
{
	struct fixture *f = *state;
	struct job_options options = {.fn = answer, .done = done, .arg = f};

	options.into_cgroup_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(job_start(f->jobs, &options, &f->err) < 0);
	close(options.into_cgroup_fd);
	assert_false(jobs_more_than(f->jobs, 0));
	assert_int_equal(f->n_done, 0);
}

static int look_around(void *arg, struct job_output *out, struct err *err)
{
	struct {
		int death_signal;
		int dumpable;
		int blocked;
	} seen = {0};
	sigset_t mask;

	(void)arg;
	(void)err;
	prctl(PR_GET_PDEATHSIG, &seen.death_signal);
	seen.dumpable = prctl(PR_GET_DUMPABLE);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	seen.blocked = sigismember(&mask, SIGTERM);
	memcpy(out->payload, &seen, sizeof(seen));
	out->size = sizeof(seen);
	return 0;
}

static void a_worker_goes_with_its_supervisor_and_cannot_be_traced(void **state)
{
	struct fixture *f = *state;
	sigset_t mask;
	sigset_t old;
	int seen[3];

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &old);
	start(f, look_around, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	run(f);
	assert_int_equal(f->size, sizeof(seen));
	memcpy(seen, f->payload, sizeof(seen));
	assert_int_equal(seen[0], SIGKILL);
	assert_int_equal(seen[1], 0);
	assert_int_equal(seen[2], 0);
}

#define with_fixture(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(a_result_comes_back),
		with_fixture(an_error_comes_back_whole),
		with_fixture(the_largest_result_fits),
		with_fixture(progress_comes_before_the_result),
		with_fixture(progress_arrives_while_the_worker_runs),
		with_fixture(a_killed_worker_is_an_error),
		with_fixture(a_worker_that_says_nothing_is_an_error),
		with_fixture(progress_is_no_result),
		with_fixture(a_worker_that_takes_too_long_is_killed),
		with_fixture(jobs_above_the_limit_wait_for_their_turn),
		with_fixture(a_tenant_cannot_take_every_place),
		with_fixture(tenants_cannot_take_every_place),
		with_fixture(the_queue_outlives_dying_workers),
		with_fixture(a_callback_may_start_a_job),
		with_fixture(destroying_kills_without_a_word),
		with_fixture(no_job_can_start_in_what_is_no_cgroup),
		with_fixture(a_worker_goes_with_its_supervisor_and_cannot_be_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
