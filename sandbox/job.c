/*
 * Forked workers; see job.h. The worker's answer travels over a socket pair and is read only after
 * the worker has been reaped, so that processes it left behind have become the supervisor's
 * children (it is their subreaper). Must never wait for a worker in the loop.
 */
#include "sandbox/job.h"

#include "base/cleanup.h"
#include "sandbox/inherited.h"
#include "sandbox/syscalls.h"

#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum message_kind { MESSAGE_PROGRESS = 1, MESSAGE_RESULT = 2 };

struct message {
	uint32_t kind;
	int32_t r;
	uint32_t lost;
	struct err err;
	uint32_t size;
	uint8_t payload[JOB_PAYLOAD_MAX];
};

struct job {
	struct jobs *jobs;
	struct job *next;
	struct job_options options;
	bool running;
	bool timed_out;
	bool ended; /* by jobs_end_work() */
	pid_t pid;
	int pidfd;
	int sock;
	struct watch pid_watch;
	struct watch sock_watch;
	struct timer timer;
};

struct jobs {
	struct reactor *reactor;
	struct job *first; /* running and waiting, oldest first */
	unsigned running;
	struct job_hooks hooks;
	void *hooks_arg;
	struct job *of_tenants[JOB_TENANTS_MAX]; /* those running that wait for one; NULL: free */
	bool starting;
};

int jobs_create(struct reactor *reactor, const struct job_hooks *hooks, void *arg,
	struct jobs **ret, struct err *err)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return err_oom(err);
	jobs->reactor = reactor;
	jobs->hooks = *hooks;
	jobs->hooks_arg = arg;
	*ret = jobs;
	return 0;
}

bool jobs_more_than(const struct jobs *jobs, unsigned n)
{
	const struct job *job = jobs->first;

	while (job && n-- > 0)
		job = job->next;
	return job != NULL;
}

bool jobs_have_pid(const struct jobs *jobs, pid_t pid)
{
	for (const struct job *job = jobs->first; job; job = job->next)
		if (job->running && job->pid == pid)
			return true;
	return false;
}

bool jobs_any_makes_in(
	const struct jobs *jobs, bool (*fn)(const struct cgroup_id *makes_in, void *arg), void *arg)
{
	for (const struct job *job = jobs->first; job; job = job->next)
		if (job->running && job->options.makes_in && fn(job->options.makes_in, arg))
			return true;
	return false;
}

void jobs_kill_makes_in(
	struct jobs *jobs, bool (*fn)(const struct cgroup_id *makes_in, void *arg), void *arg)
{
	for (struct job *job = jobs->first; job; job = job->next)
		if (job->running && job->options.makes_in && fn(job->options.makes_in, arg))
			kill(job->pid, SIGKILL);
}

static void job_free(struct job *job)
{
	watch_stop(&job->pid_watch);
	watch_stop(&job->sock_watch);
	timer_stop(&job->timer);
	close_fd(&job->pidfd);
	close_fd(&job->sock);
	free(job);
}

void jobs_destroy(struct jobs *jobs)
{
	if (!jobs)
		return;
	while (jobs->first) {
		struct job *job = jobs->first;

		jobs->first = job->next;
		if (job->running) {
			kill(job->pid, SIGKILL);
			waitpid(job->pid, NULL, 0);
		}
		job_free(job);
	}
	free(jobs);
}

static int ended(struct err *err)
{
	return err_set(err, ERR_ABORTED, "WORK_ENDED",
		"it was ended on the way, as its tenant is suspended or deleted, or the host shut "
		"down");
}

static int send_message(
	struct job_output *out, const struct message *message, const int *fds, size_t n_fds)
{
	size_t size = offsetof(struct message, payload) + message->size;

	return fd_send(out->sock, message, size, fds, n_fds);
}

void job_progress(struct job_output *out, const void *data, size_t size)
{
	struct message message = {.kind = MESSAGE_PROGRESS, .size = (uint32_t)size};

	if (size > JOB_PAYLOAD_MAX)
		return;
	memcpy(message.payload, data, size);
	send_message(out, &message, NULL, 0);
}

static int close_others(const struct job *job, int sock, struct err *err)
{
	const struct job_hooks *hooks = &job->jobs->hooks;
	struct fd_list needed = {0};
	int r;

	if (!hooks->list_fds)
		return 0;
	fd_list_add(&needed, sock);
	hooks->list_fds(job->jobs->hooks_arg, &needed);
	if (job->options.list_fds)
		job->options.list_fds(job->options.arg, &needed);
	r = fd_close_all_but(&needed);
	return r < 0 ? err_sys(err, r, "close what a worker does not need") : 0;
}

__attribute__((noreturn)) static void work(const struct job *job, int sock, pid_t supervisor)
{
	const struct job_hooks *hooks = &job->jobs->hooks;
	struct job_output out = {.sock = sock};
	struct message message = {.kind = MESSAGE_RESULT};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(1);
	/* Not traceable, and /proc/self not readable, by anyone in a container it enters. */
	prctl(PR_SET_DUMPABLE, 0);
	inherited_reset_signals();
	message.r = close_others(job, sock, &message.err);
	if (message.r == 0 && hooks->begin)
		message.r = hooks->begin(job->jobs->hooks_arg, &message.err);
	if (message.r == 0)
		message.r = job->options.fn(job->options.arg, &out, &message.err);
	message.lost = out.lost;
	message.size = (uint32_t)out.size;
	memcpy(message.payload, out.payload, out.size);
	_exit(send_message(&out, &message, out.fds, out.n_fds) < 0);
}

static void start_waiting(struct jobs *jobs);

/* Where the job's place among the running is noted, or NULL when it has to wait for one. */
static struct job **tenant_place(struct jobs *jobs, const struct job *job)
{
	struct job **place = NULL;
	unsigned same = 0;

	for (size_t i = 0; i < JOB_TENANTS_MAX; i++) {
		struct job *other = jobs->of_tenants[i];

		if (!other)
			place = &jobs->of_tenants[i];
		else if (!strcmp(other->options.tenant, job->options.tenant))
			same++;
	}
	return same < JOB_TENANT_MAX ? place : NULL;
}

static bool may_run(struct jobs *jobs, const struct job *job)
{
	return jobs->running < JOB_RUNNING_MAX && (!job->options.tenant || tenant_place(jobs, job));
}

static void enter(struct job *job)
{
	job->running = true;
	job->jobs->running++;
	if (job->options.tenant)
		*tenant_place(job->jobs, job) = job;
}

static void leave(struct job *job)
{
	if (!job->running)
		return;
	job->running = false;
	job->jobs->running--;
	for (size_t i = 0; i < JOB_TENANTS_MAX; i++)
		if (job->jobs->of_tenants[i] == job)
			job->jobs->of_tenants[i] = NULL;
}

static void unlink_job(struct job *job)
{
	for (struct job **at = &job->jobs->first; *at; at = &(*at)->next)
		if (*at == job) {
			*at = job->next;
			break;
		}
}

/* Hands the outcome over and forgets the job. */
static void finish(struct job *job, struct job_result *result)
{
	struct jobs *jobs = job->jobs;

	unlink_job(job);
	leave(job);
	job->options.done(job->options.arg, result);
	for (size_t i = 0; i < result->n_fds; i++)
		close_fd(&result->fds[i]);
	job_free(job);
	if (result->lost && jobs->hooks.lost)
		jobs->hooks.lost(jobs->hooks_arg);
	start_waiting(jobs);
}

static void fail(struct job *job, int r, const struct err *err)
{
	struct job_result result = {.r = r, .err = *err};

	finish(job, &result);
}

/* Receives one message. Returns its kind, or 0 when none is left. */
static uint32_t receive(
	struct job *job, struct message *message, int fds[static FD_PASS_MAX], size_t *ret_n_fds)
{
	ssize_t n = fd_recv(job->sock, message, sizeof(*message), fds, ret_n_fds);

	if (n < (ssize_t)offsetof(struct message, payload) || message->size > JOB_PAYLOAD_MAX ||
		(size_t)n != offsetof(struct message, payload) + message->size)
		return 0;
	return message->kind;
}

static void report_progress(struct job *job, const struct message *message)
{
	if (job->options.progress)
		job->options.progress(job->options.arg, message->payload, message->size);
}

/* Progress may come at any time; the result stays queued until the worker has been reaped. */
static void on_message(struct watch *watch, uint32_t events)
{
	struct job *job = watch->arg;
	struct message message;
	uint32_t kind = 0;

	if (events & EPOLLIN && recv(job->sock, &kind, sizeof(kind), MSG_PEEK) == sizeof(kind) &&
		kind == MESSAGE_PROGRESS) {
		int fds[FD_PASS_MAX];
		size_t n_fds = 0;

		if (receive(job, &message, fds, &n_fds) == MESSAGE_PROGRESS)
			report_progress(job, &message);
		return;
	}
	watch_stop(watch);
}

static void on_exit_of_worker(struct watch *watch, uint32_t events)
{
	struct job *job = watch->arg;
	struct job_result result = {0};
	struct message message;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	siginfo_t info;
	uint32_t kind;

	(void)events;
	if (waitid(P_PIDFD, (id_t)job->pidfd, &info, WEXITED | WNOHANG) < 0 && errno != ECHILD)
		return;
	while ((kind = receive(job, &message, fds, &n_fds)) == MESSAGE_PROGRESS)
		report_progress(job, &message);
	if (kind == MESSAGE_RESULT) {
		result.r = message.r;
		result.lost = message.lost;
		result.err = message.err;
		result.payload = message.payload;
		result.size = message.size;
		result.fds = fds;
		result.n_fds = n_fds;
	} else if (job->ended) {
		result.lost = true;
		result.r = ended(&result.err);
	} else if (job->timed_out) {
		result.lost = true;
		result.r = err_set(&result.err, ERR_DEADLINE_EXCEEDED, "WORKER_TIMEOUT",
			"the host took too long; try again, and look at its load if it stays so");
	} else {
		result.lost = true;
		result.r = err_set(&result.err, ERR_INTERNAL, "WORKER_DIED",
			"the worker that did this was killed; try again");
	}
	finish(job, &result);
}

static void on_timeout(struct timer *timer)
{
	struct job *job = timer->arg;

	job->timed_out = true;
	kill(job->pid, SIGKILL);
}

static int fork_worker(struct job *job, struct err *err)
{
	struct clone_args args = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD};
	pid_t supervisor = getpid();
	int pidfd = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "start a worker");
	args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	if (job->options.into_cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)job->options.into_cgroup_fd;
	}
	pid = sys_clone3(&args);
	if (pid == 0) {
		close(pair[0]);
		work(job, pair[1], supervisor);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		if (pid == -EAGAIN && job->options.into_cgroup_fd >= 0)
			return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids",
				"the pids limit is reached: there is no room for another process");
		return err_sys(err, pid, "start a worker");
	}
	fd_set_nonblock(pair[0], true);
	job->pid = pid;
	job->pidfd = pidfd;
	job->sock = pair[0];
	enter(job);
	return 0;
}

static int run(struct job *job, struct err *err)
{
	struct reactor *reactor = job->jobs->reactor;
	unsigned timeout = job->options.timeout_ms;
	int r = fork_worker(job, err);

	if (r < 0)
		return r;
	timer_start(reactor, &job->timer, timeout ? timeout : JOB_TIMEOUT_MS, on_timeout, job);
	r = watch_start(reactor, &job->pid_watch, job->pidfd, EPOLLIN, on_exit_of_worker, job, err);
	if (r == 0 && job->options.progress)
		r = watch_start(
			reactor, &job->sock_watch, job->sock, EPOLLIN, on_message, job, err);
	if (r < 0) {
		kill(job->pid, SIGKILL);
		waitpid(job->pid, NULL, 0);
	}
	return r;
}

/* The first that waits and may run now, or never; NULL: none. */
static struct job *next_waiting(struct jobs *jobs)
{
	for (struct job *job = jobs->first; job; job = job->next)
		if (!job->running && (job->ended || may_run(jobs, job)))
			return job;
	return NULL;
}

/* Not entered again by the `done` of one that cannot start: thousands may be waiting. */
static void start_waiting(struct jobs *jobs)
{
	struct job *job;

	if (jobs->starting)
		return;
	jobs->starting = true;
	while ((job = next_waiting(jobs))) {
		struct err err;
		int r = job->ended ? ended(&err) : run(job, &err);

		if (r < 0)
			fail(job, r, &err);
	}
	jobs->starting = false;
}

unsigned jobs_end_work(struct jobs *jobs, const char *tenant)
{
	unsigned n = 0;

	for (struct job *job = jobs->first; job; job = job->next) {
		const struct job_options *options = &job->options;

		if (!options->work_of || (tenant && strcmp(options->work_of, tenant) != 0))
			continue;
		n++;
		if (options->finishing)
			continue;
		job->ended = true;
		if (job->running)
			kill(job->pid, SIGKILL);
	}
	start_waiting(jobs);
	return n;
}

int job_start(struct jobs *jobs, const struct job_options *options, struct err *err)
{
	struct job *job = calloc(1, sizeof(*job));
	struct job **at = &jobs->first;
	int r = 0;

	if (!job)
		return err_oom(err);
	job->jobs = jobs;
	job->options = *options;
	job->pidfd = -1;
	job->sock = -1;
	while (*at)
		at = &(*at)->next;
	*at = job;
	if (may_run(jobs, job))
		r = run(job, err);
	if (r < 0) {
		unlink_job(job);
		leave(job);
		job_free(job);
	}
	return r;
}
