/*
 * Rules about abuse, enforced (ADR 94). What the sweep reads anyway is added up in sliding windows
 * for each rule, container and tenant (abuse_measure.c); after each sweep values are held against
 * the rules (abuse_judge.c). A rule that is met is a case: it is on record first, then something is
 * done (abuse_act.c), and it is over when the value has been low for a while.
 *
 * What a throttle takes is nobody's limit: it is filled in where the supervisor is told the limits,
 * so that nothing that a tenant bought is changed, and it goes with the case.
 */
#pragma once

#include "base/abuse_rules.h"
#include "server/server.h"

/* Cases that a tenant may have at a time that are told and nothing else. */
#define ABUSE_TOLD_MAX 32u
/* That are kept of a tenant, and of all: the oldest go. */
#define ABUSE_HISTORY_OF_TENANT 200
#define ABUSE_HISTORY		100000

/* Bundles of evidence that are kept of a tenant, and of all; and how large one is at most. */
#define ABUSE_EVIDENCE_OF_TENANT 20
#define ABUSE_EVIDENCE		 1000
#define ABUSE_EVIDENCE_BYTES	 (64u << 10)

struct abuse_subject;

/* Reads the rules, and the cases that last. Before db_start(), when the model is loaded. */
int abuse_load(struct server *server, struct err *err);
void abuse_destroy(struct server *server);
/* Of a container or tenant that goes. NULL is allowed. */
void abuse_subject_free(struct abuse_subject *subject);

/* Reads the file again. Returns 0, or -errno with the old rules in force. */
int abuse_reload(struct server *server, struct err *err);

/* What is left of a container's or a tenant's limits; NULL: all. */
const struct abuse_throttle *abuse_throttle_of(const struct abuse_subject *subject);

/* --- abuse_measure.c: what was counted. Each is told once of what happened between two points. ---
 */

void abuse_take(struct server *server, struct container *container, const struct usage_point *from,
	const struct usage_point *to);
void abuse_take_own(struct server *server, struct tenant *tenant, const struct usage_point *from,
	const struct usage_point *to);
/* How long it has waited for memory, as its sample says; container NULL: the tenant. */
void abuse_take_stalls(struct server *server, struct tenant *tenant, struct container *container);
/* What it has begun of processes and threads between two looks. */
void abuse_take_forks(struct server *server, struct container *container,
	const struct forks_look *from, const struct forks_look *to);
/*
 * A counter of the packet filter's for each tenant, as it is now; and as it was before what has not
 * been looked at yet, for whoever was not looked at.
 */
void abuse_take_counted(struct server *server, struct tenant *tenant, uint32_t reason,
	uint64_t packets, uint64_t before);

/* --- abuse_case.c --- */

/* How many last. */
size_t abuse_n_cases(const struct server *server);

/* --- abuse_keep.c --- */

/* Puts all long windows on record, in this turn of the loop: at the end. */
void abuse_keep(struct server *server);

/* --- abuse_judge.c --- */

/* Holds all against the rules: after a sweep. */
void abuse_look_all(struct server *server);
