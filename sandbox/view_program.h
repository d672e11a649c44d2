/*
 * A tenant's lxcfs: started, and taken away. It is a process of the host's root that answers what a
 * container reads of /proc/meminfo and the like, so each tenant has one of its own, in a cgroup of
 * its own outside of the tenant's (cgroup.h: CGROUP_VIEWS) with small fixed limits: what one
 * tenant makes of it holds up nobody else. Other mounts and a network it does not see.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/job.h"

#include <stdint.h>

#define VIEW_DIR "/run/view" /* in its mount namespace */

/* In the run directory's "views", by the tenant's name: how the next supervisor finds it. */
struct view_file {
	char boot_id[BOOT_ID_LEN];
	int32_t pid;
	uint64_t pid_start_ticks;
};

struct view_program {
	const char *path; /* of lxcfs */
	struct cgroup_id id;
	struct cgroup_root *cgroups;
	int views_fd;
};

/* The cgroup in which a tenant's lxcfs lives. */
struct cgroup_id view_program_cgroup(const char *tenant);

/*
 * The worker's function (arg: struct view_program). Ends what is left of an earlier one, and starts
 * it. The payload is struct view_file, the descriptor its pidfd. On failure nothing is left.
 */
int view_program_start(void *arg, struct job_output *out, struct err *err);

/* Kills it and removes its cgroup and file; there may be none. Waits until it is gone. */
int view_program_end(
	struct cgroup_root *cgroups, int views_fd, const struct cgroup_id *id, struct err *err);

/* Reads one of its files. Returns 0 when it answered. Leaves the caller in its mount namespace. */
int view_program_ask(int views_fd, const char *tenant, struct err *err);

/* A descriptor for exactly the process on file, or -1. */
int view_program_find(int views_fd, const char *tenant, struct view_file *ret);
