/*
 * Who follows events: woken when one was committed that is theirs to see. Each then reads the
 * table from a cursor of its own.
 *
 * A commit costs one short read here, however many follow; that says whose events are new.
 */
#pragma once

#include "server/server.h"

#include <sys/queue.h>

#define EVENT_WATCHES_TENANT   16  /* of one tenant, by its own users */
#define EVENT_WATCHES_OPERATOR 256 /* in all, by operators */

/* One who follows. Embedded in what is woken; all but the entry is the owner's to set. */
struct event_watch {
	LIST_ENTRY(event_watch) entry;
	char tenant_uid[UID_SIZE]; /* "": everything that happens */
	bool by_operator;
	void (*wake)(void *arg);
	void *arg;
};

int event_feed_create(struct server *server, struct err *err);
/* Every watch has been removed, and the database is stopped. */
void event_feed_destroy(struct server *server);
/*
 * Begins to wake it for what is committed from now on: whoever adds a watch first, and then reads,
 * misses nothing. Returns 0, or -errno with RESOURCE_EXHAUSTED when as many follow as may.
 */
int event_feed_add(struct server *server, struct event_watch *watch, struct err *err);
void event_feed_remove(struct event_watch *watch);
/* Something was committed. */
void event_feed_look(struct server *server);
