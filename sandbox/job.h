/*
 * Jobs: work that may block or die, done in a forked worker so that the supervisor's loop never
 * does. A worker is killed with the supervisor, has one result, and may send progress before it.
 */
#pragma once

#include "base/err.h"
#include "base/fd.h"
#include "sandbox/reactor.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOB_PAYLOAD_MAX 2048u
#define JOB_FDS_MAX	8

struct cgroup_id;
struct jobs;
struct job;

/* The worker's way to answer. */
struct job_output {
	int sock;
	uint8_t payload[JOB_PAYLOAD_MAX]; /* the result; filled by the worker's function */
	size_t size;
	int fds[JOB_FDS_MAX]; /* passed with the result */
	size_t n_fds;
	bool lost; /* not all that it made could be taken back: as if it had been killed */
};

/* Runs in the worker. arg is the worker's copy. Returns 0 or -errno with err filled. */
typedef int (*job_fn)(void *arg, struct job_output *out, struct err *err);

/* What became of it. fds that the callback keeps it sets to -1; the others are closed. */
struct job_result {
	/* 0 or -errno. A worker that died without a word is INTERNAL / WORKER_DIED, one that
	 * jobs_end_work() ended ABORTED / WORK_ENDED. */
	int r;
	bool lost; /* it was killed, or says so: what it had made by then is not known */
	struct err err;
	const void *payload;
	size_t size;
	int *fds;
	size_t n_fds;
};
typedef void (*job_done_fn)(void *arg, struct job_result *result);
typedef void (*job_progress_fn)(void *arg, const void *data, size_t size);
/* Adds the descriptors that fn uses, beside what every job does (struct job_hooks). */
typedef void (*job_list_fn)(void *arg, struct fd_list *list);

struct job_options {
	job_fn fn;
	job_done_fn done;
	job_progress_fn progress; /* may be NULL */
	job_list_fn list_fds;	  /* may be NULL */
	void *arg;		  /* for all three; not copied, so it must live until done */
	int into_cgroup_fd;	  /* start the worker in this cgroup2 directory; -1: in ours */
	unsigned timeout_ms;	  /* then it is killed: DEADLINE_EXCEEDED; 0: JOB_TIMEOUT_MS */
	/*
	 * The container in which it makes processes that become the supervisor's; NULL: in none.
	 * Lives until done.
	 */
	const struct cgroup_id *makes_in;
	const char *tenant; /* whose processes it waits for; NULL: nobody's. Lives until done */
	/*
	 * For whom it moves or copies files, for as long as that takes: a tenant, or "" for the
	 * operator; NULL: it is no such work. Lives until done.
	 */
	const char *work_of;
	bool finishing; /* it takes back what is half made, and is not ended for work_of */
};

#define JOB_TIMEOUT_MS	60000u
#define JOB_RUNNING_MAX 64 /* further ones wait for their turn */
/*
 * Of these, what may wait for a tenant's processes: they can be stopped (SIGSTOP, an empty CPU
 * quota) for as long as the time limit. No tenant may so keep the others from being served, and
 * all of them together not those who kill and remove.
 */
#define JOB_TENANT_MAX	4
#define JOB_TENANTS_MAX 56

/* What every job has in common. Each may be NULL. */
struct job_hooks {
	/*
	 * In each new worker: what it may need. The rest is closed, as it would keep open for as
	 * long as it runs: a socket that nobody listens at, another command's pipes. NULL: nothing
	 * is closed.
	 */
	job_list_fn list_fds;
	/* Then, before its function. An error is the job's. */
	int (*begin)(void *arg, struct err *err);
	/* After the `done` of a lost worker: what it had cloned is ours now, and unknown. */
	void (*lost)(void *arg);
};

int jobs_create(struct reactor *reactor, const struct job_hooks *hooks, void *arg,
	struct jobs **ret, struct err *err);
/* Kills every worker and reaps it; no callback runs. */
void jobs_destroy(struct jobs *jobs);
/* True while more than n jobs run or wait. */
bool jobs_more_than(const struct jobs *jobs, unsigned n);
/* True for the pid of a running worker. */
bool jobs_have_pid(const struct jobs *jobs, pid_t pid);
/* True when fn is for the makes_in of a job that runs, or has ended and was not yet seen to. */
bool jobs_any_makes_in(const struct jobs *jobs,
	bool (*fn)(const struct cgroup_id *makes_in, void *arg), void *arg);
/* Kills the workers of those: their results will be as of any worker that was killed. */
void jobs_kill_makes_in(
	struct jobs *jobs, bool (*fn)(const struct cgroup_id *makes_in, void *arg), void *arg);

/*
 * Kills what works for the tenant (NULL: for anybody), and what waits for its turn to do so never
 * gets it. Returns how many such jobs there still are, those included, until they are done.
 */
unsigned jobs_end_work(struct jobs *jobs, const char *tenant);

/*
 * Starts the job, now or when there is room. done is called exactly once, from the loop, after the
 * worker has been reaped: whatever it had cloned is the supervisor's by then. Returns 0, or -errno
 * and done is never called.
 */
int job_start(struct jobs *jobs, const struct job_options *options, struct err *err);

/* In the worker: sends a progress message (dropped when the supervisor is slow). */
void job_progress(struct job_output *out, const void *data, size_t size);
