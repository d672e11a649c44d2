/*
 * croftd's connection, as the supervisor sees it: framing, checks, dispatch, and a bounded queue of
 * what it has not read yet. One peer at a time: a new connection replaces the old one.
 */
#pragma once

#include "base/err.h"
#include "sandbox/protocol.h"
#include "sandbox/task.h"

struct peer;

#define PEER_QUEUE_MAX 65536 /* messages a peer may leave unread before it is dropped */

/*
 * Listens on SUPERVISOR_SOCKET in the run directory, for root and the configured user; who connects
 * waits until peer_start(). dropped is called when a connection ends. Returns 0 with *ret the
 * caller's.
 */
int peer_listen(struct supervisor *s, void (*dropped)(struct supervisor *s), struct peer **ret,
	struct err *err);
/* Begins to accept. */
int peer_start(struct peer *peer, struct err *err);
/* Closes the connection and removes the socket. */
void peer_close(struct peer *peer);

/* Answers a request; dropped when the connection it came by has ended. fds stay the caller's. */
void peer_reply(struct peer *peer, const struct request *request, const void *reply, const int *fds,
	size_t n_fds);
void peer_fail(struct peer *peer, const struct request *request, const struct err *err);
/* Sends an event to the present peer, if there is one. */
void peer_event(struct peer *peer, enum msg_op op, const void *msg, const int *fds, size_t n_fds);
/* The present connection: execs started by an older one are orphans. */
uint64_t peer_generation(const struct peer *peer);
/* True once everything queued has been handed to the kernel. */
bool peer_is_flushed(const struct peer *peer);

/*
 * One row an opcode (handlers.c). handle() answers by peer_reply() or peer_fail(), now or later.
 * It may move descriptors out of fds by setting them to -1; the rest is closed.
 */
struct handler {
	void (*handle)(struct supervisor *s, const struct request *request, const void *msg,
		int *fds, size_t n_fds);
	size_t min_fds;
	size_t max_fds;
};
const struct handler *handler_for(uint32_t op);
