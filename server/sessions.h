/*
 * Who comes, and who goes into containers, told by events: the first call of a user of the host
 * after a while, calls of users that are bound to no tenant, and commands and files by exec, push
 * and pull. Each at event_pace.h's pace, with a count.
 */
#pragma once

#include "server/server.h"

struct sessions;

/* A user who has not called for so long is told of again. */
#define SESSIONS_PAUSE_USEC (3600 * UINT64_C(1000000))
#define SESSIONS_USERS_MAX  1024u

int sessions_create(struct server *server, struct err *err);
void sessions_destroy(struct server *server);

/* The grpc_authorize_fn: auth.h's, and what it says is told. */
int sessions_authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err);

/* A command, or a transfer of files, has begun in a container. */
void sessions_entered(struct server *server, struct container *container,
	const struct grpc_peer *peer, bool files);
/* Adds those that were not told yet, `final` whatever the pace. */
void sessions_add_events(
	struct db_tx *tx, struct container *container, uint64_t now_boot_usec, bool final);
