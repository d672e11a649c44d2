/*
 * Before a tenant loses cores: its containers with `--cores auto` are moved to those that it keeps,
 * instead of standing in the way.
 */
#pragma once

#include "server/server.h"

/*
 * Whether that can be done for a container, for a tenant that is to have only `cpus` (all zero:
 * every core): it leaves the choice to Croft, and the tenant keeps one of the cores it has now.
 */
bool tenant_room_can_be_made(struct server *server, const struct container *container,
	const uint64_t cpus[static LIMITS_CPU_WORDS]);

/*
 * Moves all that have to be. done is called once, maybe before this returns: with an error when one
 * could not be moved. The tenant is being changed meanwhile, so that nothing else moves them.
 */
void tenant_room_make(struct server *server, struct tenant *tenant,
	const uint64_t cpus[static LIMITS_CPU_WORDS],
	void (*done)(void *arg, const struct err *err), void *arg);
