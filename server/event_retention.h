/*
 * What bounds the record of events: how many are kept, and for how long.
 *
 * Who has most of them loses its oldest first, so that nobody's noise pushes out another's, and a
 * tenant's none of what operators did to it: those are a lane of their own (events.c). Followers
 * whose cursor is before what was dropped are told so (svc_events.c).
 */
#pragma once

#include "server/server.h"

struct event_retention;

int event_retention_create(struct server *server, struct err *err);
/* When the database has called back. NULL is allowed. */
void event_retention_destroy(struct server *server);

#define LANE_SIZE (UID_SIZE + 1)

/* Events that are to go at once. */
struct event_drop {
	bool by_age;
	char lane[LANE_SIZE]; /* by count: of whom, and how many */
	uint64_t n;
	uint64_t through; /* by age: up to this number */
};

/*
 * On the database's thread: what goes next, n and through 0 for nothing. before_wall_usec 0: age
 * does not count.
 */
int event_retention_choose(struct db *db, uint64_t max, int64_t before_wall_usec,
	struct event_drop *ret, struct err *err);
/* Adds that to a transaction. */
void event_retention_drop(struct db_tx *tx, const struct event_drop *drop);
