/*
 * Building a container and starting its init: the job behind MSG_CONTAINER_START.
 *
 *   supervisor --fork--> builder (root; cgroup, overlay, id maps, state file)
 *                          \--clone3--> outer  (owns the mounts as built; makes /dev, /proc, /sys)
 *                                         \--clone3--> init (pid 1 of the inner namespaces)
 *
 * The builder and the outer process are gone when the job is done; init has then been reparented
 * to the supervisor, which is a subreaper.
 */
#pragma once

#include "base/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/confine.h"
#include "sandbox/idrange.h"
#include "sandbox/job.h"
#include "sandbox/net_links.h"
#include "sandbox/pool.h"
#include "sandbox/protocol.h"
#include "sandbox/run_file.h"

struct spawn_request {
	struct msg_container_start msg; /* validated */
	int args_fd;			/* see spawn_args.h */
	int seed_fd;			/* see cloud_seed.h; -1: none */
	int init_fd;			/* the croft-init binary; used with msg.with_init */
	int runs_fd;			/* directory of the run files */
	int fifos_fd;			/* directory of the standard outputs */
	int host_dirs_fd;		/* the list of host_dirs.h */
	struct cgroup_root *cgroups;
	struct pool *pool;
	struct idrange_registry *ids;
	struct confinement confinement;
	struct net_owner net_owner;
	/* With a network: */
	const struct net_plan *net_plan;
	int names_fd;
	const char *libexec_path;      /* croft-net's */
	struct net_rates tenant_rates; /* of the tenant's bridge */
	int views_fd;
	pid_t view_pid; /* of the tenant's lxcfs; 0: none */
	bool tells;	/* the policy is to have a listener, where it can (confine.h) */
};

/* Which descriptor is which in the job's result. */
enum spawn_fd { SPAWN_FD_PIDFD, SPAWN_FD_STDOUT, SPAWN_FD_CONSOLE, SPAWN_FD_N };
/* Behind them, where there is one: the listener of init's policy. */
#define SPAWN_FD_LISTENER SPAWN_FD_N

/* What is to be taken back, should the worker be lost: sent as progress before it is made. */
struct spawn_progress {
	uint32_t id_base;     /* the first id of the range */
	uint32_t makes_upper; /* 1: there was none before */
};

/*
 * The worker's function (arg: struct spawn_request). The result's payload is the run's struct
 * run_file; its progress struct spawn_progress. On failure nothing is left behind: no cgroup, file,
 * id range, nor, if this request made it, upper. (Should the worker be killed, or its processes not
 * die in time, that is abandon.h's job.)
 */
int spawn_run(void *arg, struct job_output *out, struct err *err);

/* The FIFO of a run's standard output: "<tenant>.<container>". */
#define SPAWN_FIFO_NAME_MAX (2 * NAME_SIZE)
void spawn_fifo_name(
	const char *tenant, const char *container, char ret_name[static SPAWN_FIFO_NAME_MAX]);
