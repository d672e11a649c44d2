/*
 * croftd's end of the supervisor's socket: everything of sandbox/ that the server may see.
 *
 * The client is transport only: it frames, checks and matches messages, and hands out descriptors.
 * It never blocks after supervisor_client_connect(), and never waits: croftd calls
 * supervisor_client_dispatch() when the socket is readable, supervisor_client_flush() when it is
 * writable and supervisor_client_wants_write().
 */
#pragma once

#include "sandbox/cloud_seed.h"
#include "sandbox/counters.h"
#include "sandbox/image_config.h"
#include "sandbox/protocol.h"
#include "sandbox/spawn_args.h"
#include "sandbox/stalls.h"

#include <stdbool.h>

struct supervisor_client;

/*
 * The answer to a request, or the loss of the peer (err UNAVAILABLE / SUPERVISOR_GONE: whether the
 * request was carried out is not known). On success err is NULL and reply points at the reply's
 * struct, valid during the call. fds are the callee's: it closes or keeps each.
 */
typedef void (*supervisor_reply_fn)(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds);

struct supervisor_client_ops {
	/* An event: op is MSG_EVENT_*, msg its struct. fds are the callee's. */
	void (*event)(void *arg, enum msg_op op, const void *msg, const int *fds, size_t n_fds);
};

/*
 * Connects to SUPERVISOR_SOCKET in the directory run_fd and agrees on the version (waits for the
 * answer, at most a second). Returns 0 with *ret the caller's, UNAVAILABLE when none listens, or
 * FAILED_PRECONDITION / SUPERVISOR_VERSION.
 */
int supervisor_client_connect(int run_fd, const struct supervisor_client_ops *ops, void *arg,
	struct supervisor_client **ret, struct err *err);
/* Hands a connection on to another owner, who is called back from now on. */
void supervisor_client_set_ops(
	struct supervisor_client *client, const struct supervisor_client_ops *ops, void *arg);
/* Every request still out is answered SUPERVISOR_GONE first. */
void supervisor_client_close(struct supervisor_client *client);

int supervisor_client_fd(const struct supervisor_client *client);
enum cgroup_kind supervisor_client_cgroup_kind(const struct supervisor_client *client);

/*
 * Sends a request. msg must be the struct of `op`; its size is checked against the table. fds stay
 * the caller's. reply may be NULL. Returns 0 (reply will be called exactly once, from dispatch or
 * close), or -errno with err filled and reply never called.
 */
int supervisor_client_send(struct supervisor_client *client, enum msg_op op, const void *msg,
	const int *fds, size_t n_fds, supervisor_reply_fn reply, void *arg, struct err *err);

/* Reads what is there and calls back. -ECONNRESET when the peer is gone: close the client. */
int supervisor_client_dispatch(struct supervisor_client *client, struct err *err);
bool supervisor_client_wants_write(const struct supervisor_client *client);
int supervisor_client_flush(struct supervisor_client *client, struct err *err);

/* The size of the struct of a request, reply (op | MSG_REPLY) or event; 0 for an unknown one. */
size_t protocol_size(uint32_t op);
