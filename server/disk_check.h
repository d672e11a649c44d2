/* Whether the pool can hold a disk limit that somebody asks for. */
#pragma once

#include "server/server.h"

/*
 * Asks the supervisor about the pool. done is called with UNIMPLEMENTED / DISK_LIMIT_UNSUPPORTED
 * when there is a pool that has no limits. Returns 0, or -errno when nobody can be asked (done is
 * not called).
 */
int disk_check(struct server *server, void (*done)(void *arg, const struct err *err), void *arg,
	struct err *err);
