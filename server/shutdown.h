/* Ending: croftd alone (SIGTERM, containers run on), or the host's containers and both daemons. */
#pragma once

#include "server/server.h"

/*
 * Ends croftd: no more connections, calls in flight get a moment to end, then the loop is left.
 * Containers run on.
 */
void shutdown_service(struct server *server);

/*
 * Stops every container (stop signal, then SIGKILL), commits their final usage, ends the
 * supervisor; done is called before croftd itself ends. FAILED_PRECONDITION when it is under way.
 */
int shutdown_host(struct server *server, const struct actor *asker,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);

/* Frees what a stop of the host holds, when nothing can call it back any more. */
void shutdown_finish(struct server *server);
