/* Between the two files of upkeep.h. */
#pragma once

#include "server/server.h"

/*
 * Starts a container that is STOPPED; what fails is tried again after a pause. done (may be NULL)
 * is called when the start has succeeded or failed. False when it failed at once: done is not
 * called.
 */
bool upkeep_start(
	struct server *server, struct container *container, void (*done)(void *arg), void *arg);
