/*
 * Events of what the packet filter refuses: a tenant's caps and its way to port 25, and on the host
 * what no honest container sends. Each reason at event_pace.h's pace, with a count; up to
 * where it was told is on record, so that the counts add up to the counter's whoever dies. What it
 * lets through and counts comes with them, for rules about abuse and for metrics; and what rate
 * limits have dropped, which is no event: a line that is full drops all the time.
 */
#pragma once

#include "server/server.h"

struct refusal_watch;

/* Before db_start(), when the tenants are known: what was told already. */
int refusal_watch_load(struct server *server, struct err *err);
/* Looks as often as samples are taken, from now on. */
int refusal_watch_start(struct server *server, struct err *err);
/* What was refused in all for a reason that is of no tenant; false before the first look. */
bool refusal_watch_seen(const struct server *server, uint32_t reason, uint64_t *ret);
/* When nothing can call back any more. */
void refusal_watch_destroy(struct server *server);
