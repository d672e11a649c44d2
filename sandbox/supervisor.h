/*
 * The supervisor: parent of every container's init, owner of what only root can make.
 *
 * One thread, one loop. A request is checked here (names, state, bounds); what may block runs in a
 * worker (job.h). It links no parser of anything a tenant or client wrote.
 */
#pragma once

#include "base/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/idrange.h"
#include "sandbox/job.h"
#include "sandbox/net_bridge.h"
#include "sandbox/orphans.h"
#include "sandbox/pool.h"
#include "sandbox/protocol.h"
#include "sandbox/reactor.h"

#include <sys/types.h>

struct container;
struct disk_use;
struct exec_session;
struct fork_count;
struct peer;
struct policies;
struct refuser;
struct task;
struct tenant_rates;
struct view;

struct supervisor_config {
	const char *state_path;
	const char *run_path;
	const char *cgroup_parent;
	const char *policy_dirs[2]; /* searched in this order; NULL: none */
	const char *libexec_path;   /* croft-importer, croft-packer, croft-policy, croft-init */
	uid_t peer_uid;		    /* who besides root may connect */
	char pool_driver[POOL_DRIVER_SIZE];
	uint64_t pool_size_bytes;
	const char *lxcfs;  /* its path, or "off"; NULL: where Debian has it */
	bool tells_refused; /* whether croft-refuser is used */
};

struct supervisor {
	struct supervisor_config config;
	int state_fd;
	int run_fd;
	int private_fd; /* state/supervisor: 0700 */
	int runs_fd;
	int pauses_fd;	  /* state/supervisor/pauses: see pause.h */
	int host_dirs_fd; /* state/supervisor/host-directories: see host_dirs.h */
	int fifos_fd;	  /* in the run directory */
	int views_fd;	  /* the same: see view.h */
	int refused_fd;	  /* the same: see refuser.h */
	int importer_fd;
	int packer_fd;
	int files_fd;
	int init_fd;
	int refuser_fd;
	struct reactor *reactor;
	struct jobs *jobs;
	struct orphans orphans;
	struct cgroup_root *cgroups;
	struct idrange_registry *ids;
	struct policies *policies;
	struct peer *peer;

	struct pool *pool; /* NULL until something needed it */
	bool pool_attaching;
	struct task *pool_waiters;     /* in order of arrival */
	struct task *adoption_waiters; /* the same */
	struct task *net_rules;	       /* the same; the first is under way (handle_network.c) */
	struct task *claims;	       /* tasks that have a tenant or an image to themselves */
	unsigned n_tasks;

	struct container *containers;
	struct fork_count *forks;   /* NULL: nothing counts them here */
	struct disk_use *disk_uses; /* see disk_use.h */
	struct exec_session *execs;
	uint64_t next_exec_id;
	struct net_plan net_plan; /* without a pool until croftd has told */
	struct tenant_rates *tenant_rates;
	struct refuser *refuser;
	struct view *views;
	unsigned view_jobs;	     /* workers that are at work for them */
	struct task *view_last_task; /* waits until there is none */
	int names_fd;		     /* the hosts files (net_names.h); -1: no network yet */
	int host_mounts_fd;	     /* the mount namespace that we were started in */
	bool adopting; /* strays are being removed, whose id ranges must not be taken */
	bool shutting_down;
	struct watch signal_watch;
	int signal_fd;
};

/*
 * Opens directories, cgroups and the id registry, starts to compile the policies, re-adopts the
 * runs on file, and listens. Returns 0 or -errno; supervisor_finish() is due either way.
 */
int supervisor_init(struct supervisor *s, const struct supervisor_config *config, struct err *err);
/* Runs until SIGTERM or a shutdown request. */
int supervisor_run(struct supervisor *s, struct err *err);
/* Lets go of everything; containers run on. */
void supervisor_finish(struct supervisor *s);

/* The pool's configuration, as pool.h wants it. */
struct pool_config supervisor_pool_config(const struct supervisor *s);
/* Whose interfaces are ours. */
struct net_owner supervisor_net_owner(const struct supervisor *s);
