/*
 * A task: a request of the peer's whose work runs in a worker, and its answer.
 *
 * Handlers fill `msg` and start the task; `fn` does the work in the worker, on a copy; `done` (if
 * any) looks at the outcome in the loop before the peer is answered.
 */
#pragma once

#include "sandbox/exec.h"
#include "sandbox/image_import.h"
#include "sandbox/spawn.h"
#include "sandbox/supervisor.h"

/* Which request an answer belongs to. An answer to a peer that has gone is dropped. */
struct request {
	uint64_t generation; /* of the peer's connection */
	uint64_t id;
	uint16_t op;
};

/* What only one task at a time may act on as a whole. (Containers have states for that.) */
enum claim_kind { CLAIM_NONE, CLAIM_TENANT, CLAIM_IMAGE, CLAIM_EXPORT, CLAIM_IMPORT };

struct task {
	struct supervisor *s;
	enum claim_kind claim;
	char claimed[NAME_SIZE];
	struct task *next_claim;
	struct request request;
	struct task *next;
	bool needs_pool;
	bool again;	    /* set by done: the task starts once more, with the fn it then has */
	bool needs_adopted; /* not before the last stray is gone that may still be writing */

	/* In the worker. Fills out->payload with the reply's struct, if it has one. */
	int (*fn)(struct task *task, struct job_output *out, struct err *err);
	/*
	 * In the loop. NULL: the reply is the payload (or an empty message), or the error.
	 * Otherwise it answers itself.
	 */
	void (*done)(struct task *task, struct job_result *result);
	void (*progress)(struct task *task, const void *data, size_t size);
	/* What fn uses beside fds and into_cgroup_fd. May be NULL. */
	void (*list_fds)(const struct task *task, struct fd_list *list);
	unsigned timeout_ms; /* 0: the usual */
	int into_cgroup_fd;
	const struct cgroup_id *makes_in; /* as of struct job_options; &container or NULL */
	struct cgroup_id container;
	const char *tenant; /* whose processes fn waits for; NULL: nobody's. A part of `u` */
	/* As of struct job_options; a part of `u`, or "". */
	const char *work_of;
	bool finishing;

	union {
		struct msg_tenant tenant;
		struct msg_tenant_set tenant_set;
		struct msg_container container;
		struct msg_container_create create;
		struct msg_limits limits;
		struct msg_freeze freeze;
		struct msg_image image;
		struct {
			struct msg_image msg;
			uint32_t id_base; /* 0: not yet taken */
			struct err err;	  /* lost: what it is answered with in the end */
		} import;
		struct msg_snapshot snapshot;
		struct msg_copy copy;
		struct msg_rename rename;
		struct msg_publish publish;
		struct msg_net_config net_config;
		struct msg_net_peers net_peers;
		struct {
			struct msg_export msg;
			uint32_t id_base; /* 0: not yet taken */
			bool copied;	  /* the container is free again */
			struct err err;	  /* lost: what it is answered with in the end */
		} pack;
		struct {
			struct msg_container_import msg;
			uint32_t id_base; /* 0: not yet taken */
			struct err err;	  /* lost: what it is answered with in the end */
		} unpack;
		struct msg_volume volume;
		struct msg_look look;
		struct msg_host_directory host_directory;
		struct spawn_request spawn;
		struct exec_request exec;
	} u;
	int fds[4]; /* closed with the task; -1: none */
};

/* Requests that may be under way at once, each with up to four descriptors. */
#define TASKS_MAX 4096

/* A zeroed task for a request. NULL, with err, when there are too many or memory is out. */
struct task *task_new(struct supervisor *s, const struct request *request, struct err *err);
void task_free(struct task *task);
/* Claims a tenant or an image for the task until it is freed. It must not be claimed. */
void task_claim(struct task *task, enum claim_kind kind, const char *name);
/* Checks that nobody has claimed it. Returns 0 or FAILED_PRECONDITION / TENANT_BUSY, IMAGE_BUSY. */
int task_check_unclaimed(
	const struct supervisor *s, enum claim_kind kind, const char *name, struct err *err);
/* fn makes processes there that become the supervisor's: until it is done, none is an orphan. */
void task_makes_in(struct task *task, const struct cgroup_id *container);

/*
 * Starts the task, after attaching the pool when it needs one, and owns it from here. A failure to
 * start is answered like one of the work.
 */
void task_start(struct task *task);

/* Starts what waited for the adoption. */
void task_adopted(struct supervisor *s);

/* It takes back, as a task of its own, what its lost worker has left. */
void task_take_back(struct task *task,
	int (*fn)(struct task *task, struct job_output *out, struct err *err),
	void (*done)(struct task *task, struct job_result *result));

/* Answers the task's request. */
void task_reply(struct task *task, const void *reply, const int *fds, size_t n_fds);
void task_fail(struct task *task, const struct err *err);
