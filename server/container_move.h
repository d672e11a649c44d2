/* Moving a container that runs to other cores: in the kernel, then on record. */
#pragma once

#include "server/server.h"

/*
 * False for one that does not run, frozen or not; that is being changed, as its limits are on their
 * way already; or that is moving.
 */
bool container_move_is_possible(const struct container *container);

/*
 * Moves it to `cpus`, or tells the kernel again where it is. It stays possible to change it
 * meanwhile: container_update.c waits for the few milliseconds. Returns 0, or -errno when nothing
 * was begun (done is not called). done is called once, later; without an error also when the
 * container's run has ended meanwhile.
 */
int container_move(struct server *server, struct container *container,
	const uint64_t cpus[static LIMITS_CPU_WORDS],
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);
