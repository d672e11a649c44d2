/*
 * What croftd does for a container without being asked: starting it after the host has booted, and
 * starting it again when its run has ended by itself.
 *
 * A restart that is due is on record (containers.restart_due), so that a croftd that was killed
 * meanwhile goes on with it. When it is due is not: the pause begins anew.
 */
#pragma once

#include "server/server.h"

#define UPKEEP_ORDER_MAX 9999u

/* True when a run that ended so is to be followed by another. */
bool upkeep_wants_restart(const struct upkeep *upkeep, enum run_exit exit, int status);

/* Seconds to wait before the restart that follows `tries` ones: 1, 2, 4 ... up to five minutes. */
unsigned upkeep_pause_seconds(unsigned tries);

/* The name in the API's and the database's words: "never", "on-failure", "always". */
const char *upkeep_restart_name(enum restart_policy policy);
/* The same back. Returns 0 or -EINVAL. */
int upkeep_restart_parse(const char *name, enum restart_policy *ret);

/*
 * A run has ended by itself, and its end is about to be committed: decides whether another follows
 * (container->restart_due). upkeep_add_event() then adds the event to that transaction.
 */
void upkeep_decide(struct container *container);
void upkeep_add_event(struct db_tx *tx, const struct container *container);
/*
 * The present run is to be ended, and another to follow, whatever the policy says: from now on that
 * is due. A run that has worked for so long begins the pauses anew. Writes nothing.
 */
void upkeep_demand(struct container *container, uint64_t worked_usec);
/* The end is durable, and the container STOPPED. */
void upkeep_after_end(struct server *server, struct container *container);

/*
 * It is found to run: a start that was due because a hold would have stopped it is so no more.
 * That is found out after croftd, or the supervisor, was lost in between.
 */
void upkeep_adopted(struct server *server, struct container *container);

/* Somebody starts, stops or deletes it: no restart is due any more. Writes nothing. */
void upkeep_cancel(struct container *container);

/*
 * The supervisor is there and both sides agree: starts what is due, and once after each boot of the
 * host what has autostart, in order, some at a time.
 */
void upkeep_resume(struct server *server);
/* The tenant is suspended no more: starts what is due of its containers, in the same order. */
void upkeep_resume_tenant(struct server *server, struct tenant *tenant);
void upkeep_finish(struct server *server);
