/*
 * A container that has a run, from the request to start it until its final counters are committed,
 * or whose upper is being made or removed. (Any other is a directory in the pool, and a row of
 * croftd's.) There is one struct for a container, so that none of these happens beside another.
 *
 *            start                init executed              init ended
 *   (none) --------> STARTING -----------------> RUNNING ----------------> STOPPING
 *     ^                 | failed                    ^                         | counters on file,
 *     |                 v                           | adopted alive           v cgroup removed
 *     +---------------(none)                      (none) -- adopted dead --> ENDED
 *     |                                                                       |
 *     +-----------------------------------------------------------------------+ acknowledged
 *
 *            create: the upper                   remove: the upper
 *   (none) <------------------> MAKING  (none) <------------------> REMOVING
 */
#pragma once

#include "base/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/peer.h"
#include "sandbox/run_file.h"
#include "sandbox/supervisor.h"

enum container_state {
	CONTAINER_NONE,
	CONTAINER_STARTING,
	CONTAINER_RUNNING,
	CONTAINER_STOPPING,
	CONTAINER_ENDED,
	CONTAINER_MAKING,
	CONTAINER_REMOVING,
	CONTAINER_STATE_N,
};

struct container {
	struct supervisor *s;
	struct container *next;
	enum container_state state;
	struct run_file file;
	struct cgroup_id cgroup;
	uint64_t fork_id; /* by which its forks are counted; 0: they are not */
	int pidfd;
	bool is_child; /* init is ours to wait for, and not yet reaped; an adopted one never is */
	bool makes_upper;    /* starting: what is lost with its builder, an upper among it */
	bool freezing;	     /* a freeze or thaw is under way */
	bool suspended;	     /* its start is given up, as its tenant was suspended */
	struct task *joined; /* removing: further requests for the same */
	bool paused;	     /* it stands still for a moment, while its directory is copied */
	int stdout_fd;
	int console_fd;
	int listener_fd; /* of its policy (refuser.h); -1: there is none, or not here */
	bool listener_handed;
	struct exit_info exit; /* how init ended, once it has */
	uint64_t end_boot_usec;
	int64_t end_wall_usec;
	struct watch pid_watch;
	struct timer retry_timer; /* a teardown that failed is tried again */
	struct cgroup_watch cgroup_watch;
	struct watch oom_watch;
	struct watch limit_watch[CGROUP_WATCH_FILES];
	struct timer limit_timer;
	struct timer oom_timer;
	unsigned oom_looks; /* how often the counter is still read for the kill that was told of */
	uint64_t oom_kills; /* seen so far */
};

/* True for a move that the picture above has. */
bool container_may_move(enum container_state from, enum container_state to);

/* The container of that name, or NULL when it has no run. */
struct container *container_find(struct supervisor *s, const char *tenant, const char *container);
/* As container_find(), but FAILED_PRECONDITION / CONTAINER_NOT_RUNNING unless it is running. */
struct container *container_find_running(
	struct supervisor *s, const char *tenant, const char *container, struct err *err);

/* True while its upper is being made or removed. */
bool container_is_changing(const struct container *c);
/*
 * Checks that the container has no run and its upper is left alone. Returns 0, FAILED_PRECONDITION
 * / CONTAINER_RUNNING or CONTAINER_BUSY.
 */
int container_check_idle(
	struct supervisor *s, const char *tenant, const char *container, struct err *err);

/* True for the init of a container, as long as it is ours to wait for. */
bool container_has_init(const struct supervisor *s, pid_t pid);

/* A new entry in state NONE. NULL when memory is out. */
struct container *container_new(struct supervisor *s, const char *tenant, const char *container);
/* Forgets the entry; the run's processes are not touched. */
void container_forget(struct container *c);

/* Moves to a state; a move that the table does not have is refused and logged. */
bool container_move(struct container *c, enum container_state to);

/* STARTING or NONE -> RUNNING: takes the descriptors and watches for the end and for limits. */
int container_run(struct container *c, const struct run_file *file, int pidfd, bool is_child,
	int stdout_fd, int console_fd, struct err *err);
/* Init is gone: takes the final counters and removes what the run held. */
void container_end(struct container *c, const struct exit_info *exit);
/* Goes on with what a crash interrupted: a run on file that had ended. */
void container_resume_end(struct container *c, const struct run_file *file);

/*
 * Opens what a MSG_CONTAINER_START reply or MSG_EVENT_CONTAINER carries, and says in `started` what
 * is among it.
 */
#define CONTAINER_FDS_MAX (COUNTER_DIR_N + 3)
int container_collect_fds(struct container *c, int ret_fds[static CONTAINER_FDS_MAX],
	size_t *ret_n_fds, size_t *ret_n_owned, struct msg_started *started, struct err *err);
void container_started_msg(const struct container *c, struct msg_started *ret);

/* Starts to kill everything in it; the end is noticed as any other. */
int container_kill(struct container *c, struct err *err);

/* What waitid(2) said, as exit_info. */
struct exit_info container_exit_info(int wait_code, int wait_status);
