/*
 * A real supervisor for a test: private state and run directories, a cgroup parent of its own, a
 * plain pool with one image made of busybox and the probe, and a client that waits for what it
 * asked. supervisor_teardown() takes everything back and fails the test when something was left.
 */
#pragma once

#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/supervisor_client.h"

#include <sys/types.h>

#define TENANT	      "acme"
#define WAIT_MS	      (120 * 1000) /* a deadline: a busy disk may take its time to sync */
#define EVENTS_MAX    256
#define OUTPUT_MAX    16384
#define EXEC_SIGNALED 1000 /* exec_in(): plus the signal */
#define EXEC_REFUSED  -1

struct event {
	enum msg_op op;
	union {
		struct msg_event_container container;
		struct msg_tenant tenant;
		struct msg_run_ended ended;
		struct msg_exec_ended exec_ended;
		struct msg_limit_hit limit_hit;
		struct msg_policy_info policy;
	} u;
	int fds[FD_PASS_MAX];
	size_t n_fds;
};

struct sup {
	char dir[64]; /* holds state and run */
	char parent[64];
	pid_t pid; /* 0: none */
	int run_fd;
	struct supervisor_client *client;
	void (*before_exec)(void); /* in the process that becomes the supervisor */
	bool gone;		   /* the connection ended */
	bool keep_zombies;	   /* what a killed supervisor leaves is not reaped */
	struct err err;
	unsigned runs; /* makes run ids */

	/* The last answer. */
	bool answered;
	bool refused;
	uint8_t reply[MSG_SIZE_MAX];
	int fds[FD_PASS_MAX];
	size_t n_fds;

	struct event events[EVENTS_MAX];
	size_t n_events;
	char output[OUTPUT_MAX]; /* of the last exec_in() */
};

int supervisor_setup(void **state);
int supervisor_teardown(void **state);
/* The first thing in a test: makes the image and starts the supervisor. */
struct sup *sup_begin(void **state);

/* Starts the program and waits until it answers; restarts after sup_kill(). */
void sup_start(struct sup *s);
/* SIGKILL, reaped; the client is closed. */
void sup_kill(struct sup *s);
void sup_connect(struct sup *s);
void sup_disconnect(struct sup *s);

/* Sends and waits for the answer. Returns 0, or -1 with s->err; descriptors are in s->fds. */
int sup_call(struct sup *s, enum msg_op op, const void *msg, const int *fds, size_t n_fds);
void sup_close_fds(struct sup *s);

#define assert_done(s, call)                                                                       \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s: %s", #call, (s)->err.reason, (s)->err.msg);              \
	} while (0)

#define assert_refused(s, call, why)                                                               \
	do {                                                                                       \
		if ((call) >= 0)                                                                   \
			fail_msg("%s: not refused", #call);                                        \
		assert_string_equal((s)->err.reason, why);                                         \
	} while (0)

/* Waits for the next event of a kind and takes it out of the queue; its fds are the caller's. */
struct event sup_event(struct sup *s, enum msg_op op);
/* MSG_EVENT_RUN_ENDED of a container; others of the kind stay queued. */
struct msg_run_ended sup_ended(struct sup *s, const char *container);
/* True when such an event is queued already. */
bool sup_has_event(const struct sup *s, enum msg_op op);
void sup_drop_events(struct sup *s);
/* Lets the client read, for at most so long or until something came. */
void sup_poll(struct sup *s, int timeout_ms);

/* The usual requests for containers of TENANT. */
int sup_tenant_set(struct sup *s);
struct msg_container_start sup_start_msg(struct sup *s, const char *container);
int sup_start_container_as(
	struct sup *s, const struct msg_container_start *msg, char **argv, struct msg_started *ret);
/* Makes and starts one that runs `sh -c script`. */
int sup_run(struct sup *s, const char *container, const char *script, struct msg_started *ret);
int sup_container(struct sup *s, enum msg_op op, const char *container);
int sup_freeze(struct sup *s, const char *container, bool frozen);
int sup_ack(struct sup *s, const struct msg_run_ended *ended);
int sup_list(struct sup *s);
/* Kills, waits, acknowledges and removes. */
void sup_discard(struct sup *s, const char *container);
/* The same for the only one of the last list, which may have ended already. */
void sup_discard_listed(struct sup *s, const char *container);
/* With every container discarded: removes the tenant, shuts down, and checks the exit status. */
void sup_shutdown(struct sup *s);

/*
 * Runs a command with its output collected in s->output. Returns its status, EXEC_SIGNALED plus a
 * signal, or EXEC_REFUSED with s->err.
 */
int exec_as(struct sup *s, const char *container, const char *user, char **argv);
/* `sh -c script` as root. */
int exec_sh(struct sup *s, const char *container, const char *script);
/* A command that was started: how it ended. Its id is taken from the last reply. */
int exec_wait(struct sup *s);

/* What the host still holds for this instance; "" for nothing. Static storage. */
const char *sup_leftovers(struct sup *s);
/* Waits until sup_leftovers() is empty; the tenant's own cgroup may stay when `tenant`. */
void sup_assert_nothing_left(struct sup *s, bool tenant);
/* Ids and run files in use. */
int sup_ranges_held(struct sup *s);
int sup_count_files(struct sup *s, const char *subdir);
/* The supervisor's youngest child, 0 for none: a worker, when one is at work. */
pid_t sup_youngest_child(struct sup *s);
/* Waits until the supervisor has no child but n: neither alive nor unreaped. */
void sup_wait_for_children(struct sup *s, int n);
int64_t sup_now_ms(void);
