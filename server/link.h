/*
 * The connection to the supervisor on the event loop: made at start, and made anew with growing
 * pauses when it is lost. Requests are answered UNAVAILABLE meanwhile.
 *
 * After each connection reconcile.c brings both sides together; until it says so with
 * link_set_ready(), only its own requests go through, and all others wait.
 */
#pragma once

#include "sandbox/supervisor_client.h"

struct link;
struct server;

/* Makes a link for the run directory, which stays the caller's. Does not connect yet. */
int link_create(struct server *server, int run_fd, struct link **ret, struct err *err);
void link_destroy(struct link *link);

/*
 * Connects now; goes on trying by itself on failure. made is a connection that there is already,
 * and becomes the link's; NULL: none.
 */
void link_connect(struct link *link, struct supervisor_client *made);
/* No more attempts: the supervisor is about to end. */
void link_stop_reconnecting(struct link *link);

bool link_is_connected(const struct link *link);
bool link_is_ready(const struct link *link);
void link_set_ready(struct link *link);
enum cgroup_kind link_cgroup_kind(const struct link *link);

/* The supervisor's answer does not tell whether it has done what was asked for. */
bool link_outcome_is_open(const struct err *err);

/* UNAVAILABLE / SUPERVISOR_GONE: what a client is told while there is no connection. */
int link_gone(struct err *err);

/* As supervisor_client_send(); UNAVAILABLE / SUPERVISOR_GONE without a connection. */
int link_send(struct link *link, enum msg_op op, const void *msg, const int *fds, size_t n_fds,
	supervisor_reply_fn reply, void *arg, struct err *err);
/* The same without waiting for the reconciliation, as a part of it. */
int link_send_early(struct link *link, enum msg_op op, const void *msg, const int *fds,
	size_t n_fds, supervisor_reply_fn reply, void *arg, struct err *err);

/* Closes descriptors that came with a message and are not wanted. */
void link_close_fds(const int *fds, size_t n_fds);
