/*
 * The end of a run: the job that takes the final counters and removes what the run held.
 *
 * It may be repeated after a crash at any point: counters already on file are kept, what is
 * already gone is no error.
 */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/idrange.h"
#include "sandbox/job.h"
#include "sandbox/pool.h"
#include "sandbox/run_file.h"

struct teardown_request {
	struct run_file file;	/* `ended` set: the counters are final, only removal is left */
	struct exit_info exit;	/* how init ended */
	uint64_t end_boot_usec; /* when it was noticed */
	int64_t end_wall_usec;
	int runs_fd;
	int fifos_fd;
	int refused_fd;
	int names_fd; /* -1: there are no names */
	struct cgroup_root *cgroups;
	struct idrange_registry *ids;
	const struct net_plan *net_plan; /* may be without a pool */
};

/* In a worker. The result's payload is the ended struct run_file. */
int teardown_run(struct teardown_request *rq, struct job_output *out, struct err *err);

/* What a start left that was cut off: nothing of it is on any bill, and all of it goes. */
struct teardown_stray {
	struct cgroup_id id;
	struct cgroup_root *cgroups;
	int runs_fd;
	int fifos_fd;
	int refused_fd;
	int names_fd; /* -1: there are no names */
	struct idrange_registry *ids;
	uid_t id_base;	   /* 0: none is known of */
	struct pool *pool; /* NULL: its upper stays */
	const struct net_plan *net_plan;
	uint32_t net_number; /* 0: none is known of */
	uint32_t net_slot;
};
/* In a worker. Kills and removes; repeatable. */
int teardown_stray_run(struct teardown_stray *stray, struct job_output *out, struct err *err);
