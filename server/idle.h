/*
 * Containers in which nothing happens are frozen, where that is asked for, and thawed by what needs
 * them: a command, a console, a packet for them (ADR 64).
 *
 * That it is frozen for this reason alone is on record with the run before it is frozen, so a
 * croftd that was killed knows whom it may thaw.
 */
#pragma once

#include "server/server.h"

#define IDLE_FREEZE_MIN_S 1u
#define IDLE_FREEZE_MAX_S 86400u
/* More of one CPU than this, in thousandths, is activity. */
#define IDLE_CPU_PER_MILLE 10u

int idle_create(struct server *server, struct err *err);
void idle_destroy(struct server *server);

/* A run is there, in the state that the container is in. Repeated for the same one it does no harm.
 */
void idle_adopted(struct server *server, struct container *container);
/* Its tenant is suspended no more: what was changed meanwhile takes effect. */
void idle_resumed(struct server *server, struct container *container);
/* How long it may do nothing was changed. */
void idle_changed(struct server *server, struct container *container);
/* The run has ended: who waits for it to be thawed is told. */
void idle_end(struct container *container);

/* True when it is frozen, or on its way, only because nothing happened in it: idle_wake() helps. */
bool idle_is_frozen(const struct container *container);
/*
 * Thaws one of these. `why` is one word for the event, static. done (may be NULL) is called once,
 * later, on the loop. Returns 0 or -errno (done is not called).
 */
int idle_wake(struct server *server, struct container *container, const char *why,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);
/* One of these stays frozen, whatever happens: somebody asks for it. */
void idle_keep_frozen(struct db_tx *tx, struct container *container);
