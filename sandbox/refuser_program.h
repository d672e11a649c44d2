/* Starting croft-refuser: in a cgroup of its own beside the tenants' lxcfs, with small limits. */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/job.h"

struct refuser_program {
	struct cgroup_id id;
	struct cgroup_root *cgroups;
	int dir_fd;	/* the run directory's "refused" */
	int program_fd; /* the open binary */
};

struct refuser_started {
	int32_t pid;
};
enum refuser_started_fd { REFUSER_STARTED_SOCKET, REFUSER_STARTED_PIDFD, REFUSER_STARTED_N };

/*
 * In a worker. Ends what is left of an earlier one, starts
 * it, and connects. The payload is struct refuser_started, the descriptors are as the enum has
 * them. On failure nothing is left.
 */
int refuser_program_start(
	const struct refuser_program *program, struct job_output *out, struct err *err);

/* Connects to the one that runs, if any: the caller's non-blocking socket, or -errno. */
int refuser_program_connect(int dir_fd);
