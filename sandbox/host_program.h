/*
 * A program of the host's that outlives its worker and the supervisor: a tenant's lxcfs,
 * croft-refuser. Each has a cgroup of its own below CGROUP_VIEWS, with small fixed limits.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "sandbox/cgroup.h"

#include <stdbool.h>
#include <sys/capability.h>
#include <sys/types.h>

/* Makes its cgroup and opens it in *join, the caller's to close. */
int host_program_make_cgroup(struct cgroup_root *cgroups, const struct cgroup_id *id,
	const struct limits *limits, bool oom_group, struct cgroup_join *join, struct err *err);
/* Kills what is in its cgroup, waits until it is gone, and removes the cgroup; there may be none.
 */
int host_program_end(struct cgroup_root *cgroups, const struct cgroup_id *id, struct err *err);

struct host_program_child {
	pid_t pid;
	int pidfd;
	int status_fd; /* of a socket whose other end goes with the child's exec */
};

/*
 * In the child, which is in its cgroup on v2: executes the program, or returns. It may put another
 * descriptor for *status_fd in its place.
 */
typedef int (*host_program_fn)(void *arg, int *status_fd, struct err *err);

/* Returns 0 with *ret's descriptors the caller's, or -errno; name is for messages. */
int host_program_clone(const struct cgroup_join *join, host_program_fn become, void *arg,
	const char *name, struct host_program_child *ret, struct err *err);
/*
 * Waits for the end of the status socket, which is the exec, or for the error that comes in place
 * of it. Returns 0 or -errno.
 */
int host_program_await_exec(int status_fd, const char *name, struct err *err);
/* The same of what has been received already: n bytes, or -errno. */
int host_program_take_end(ssize_t n, const struct err *received, const char *name, struct err *err);

/* In the child: leaves it those capabilities and no other, in the bounding set as well. */
int host_program_keep_capabilities(const cap_value_t *kept, size_t n_kept, struct err *err);
