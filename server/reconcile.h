/*
 * Bringing croftd and the supervisor together after each connection, and the supervisor's events.
 *
 * The supervisor says what exists (MSG_LIST), croftd what should: running containers are adopted
 * again, ended runs committed, tenants' limits sent anew, and whatever only one side knows is
 * removed.
 */
#pragma once

#include "sandbox/supervisor_client.h"

struct container;
struct server;
struct tenant;

/* The link is connected: take stock. Ends with link_set_ready(). */
void reconcile_begin(struct server *server);
/* The link is lost. */
void reconcile_lost(struct server *server);
/* An event of the supervisor. The descriptors are kept or closed here. */
void reconcile_event(
	struct server *server, enum msg_op op, const void *msg, const int *fds, size_t n_fds);
/*
 * A start whose outcome was lost with the supervisor, and whose commit ended only after the next
 * connection: does what the reconciliation had to leave.
 */
void reconcile_settle_start(struct server *server, struct container *container);
/* A tenant's message with its limits as they are to be in force. */
void reconcile_fill_tenant(const struct tenant *tenant, bool force, struct msg_tenant_set *ret);
/* What became of it: err is NULL when the limits are in force; else nothing of the tenant is to
 * start. */
void reconcile_note_tenant(struct tenant *tenant, const struct err *err);
