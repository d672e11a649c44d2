/*
 * The traffic of what runs, as the supervisor reads it: the kernel's tables are not for everybody.
 * One look has all of it, and one is under way at a time, however many ask for it.
 */
#pragma once

#include "server/server.h"

struct traffic;

int traffic_create(struct server *server, struct err *err);
/* After the link, which calls back. */
void traffic_destroy(struct server *server);

/*
 * Has a look at it that began after this call, or one not older than max_age_usec. done is called
 * when it has, or when the supervisor does not answer in time: what it did not say, traffic_of()
 * does not know. At once where there is no network or no memory, and err is always NULL.
 */
void traffic_look(struct server *server, uint64_t max_age_usec,
	void (*done)(void *arg, const struct err *err), void *arg);

/* The counters of a run at the last look. False when it was not seen then: it does not run. */
bool traffic_of(const struct traffic *traffic, const char *run_id, struct net_usage *ret);
