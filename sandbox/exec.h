/*
 * Running a command in a container: the job behind MSG_EXEC.
 *
 *   supervisor --fork--> joiner (enters the namespaces) --clone3(CLONE_PARENT)--> the command
 *
 * The command is the supervisor's own child from its birth; the joiner ends once it has executed.
 */
#pragma once

#include "base/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/confine.h"
#include "sandbox/job.h"
#include "sandbox/protocol.h"

#include <stdbool.h>

struct exec_request {
	struct msg_exec msg;
	int args_fd;
	int stdio[3]; /* not with a tty: then -1 */
	int init_pidfd;
	int files_fd;		 /* sealed: executed as EXEC_FILES; the supervisor's */
	bool nesting;		 /* the container may have containers */
	struct cgroup_join join; /* of the container's payload */
	struct confinement confinement;
};

struct exec_report {
	int32_t pid; /* as the host sees it */
};

enum exec_fd { EXEC_FD_PIDFD, EXEC_FD_CONSOLE /* with a tty */ };

/*
 * The worker's function (arg: struct exec_request); payload struct exec_report. Refusals that a
 * shell knows: NOT_FOUND / EXEC_NOT_FOUND (127), FAILED_PRECONDITION / EXEC_NOT_EXECUTABLE (126),
 * RESOURCE_EXHAUSTED / PIDS_LIMIT, NOT_FOUND / EXEC_NO_USER, EXEC_NO_DIRECTORY. A refusal may
 * come with EXEC_FD_PIDFD: of a child that is about to end, and must be reaped.
 */
int exec_run(void *arg, struct job_output *out, struct err *err);
