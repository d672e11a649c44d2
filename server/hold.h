/*
 * Holds: for what a tenant is suspended. One of each type at most; the tenant goes on when the last
 * is lifted. hold.c knows what they are, tenant_hold.c sets and lifts them, hold_stop.c stops what
 * they have frozen when the grace is over, hold_thaw.c thaws it after the last.
 *
 * A container that a hold keeps down is marked (container->kept_down, on record before it is
 * stopped). The transaction that lifts the last hold makes of the mark a start that is due
 * (upkeep.h), so whatever dies in between, it comes back once, and never under a hold.
 */
#pragma once

#include "server/server.h"

#define HOLD_GRACE_MAX_S   (366 * 86400)
#define HOLD_NAMES_SIZE	   40
#define HOLD_SENTENCE_SIZE 300

struct db_tx;
struct grpc_call;
struct tenant_op;

/* "billing", "abuse", "operator": in the API's, the database's and people's words. */
const char *hold_name(enum hold_type type);
/* The same back. Returns 0 or -EINVAL. */
int hold_parse(const char *name, enum hold_type *ret);

/* A grace as croftd's settings have it: never, 0, 90s, 30m, 12h, 7d, up to a year. Or -EINVAL. */
int hold_parse_grace(const char *text, int64_t *ret_seconds);

/* Sets tenant->suspended as its holds say. */
void hold_refresh(struct tenant *tenant);
/* The types of those that are set, the longest-standing first. Returns how many. */
size_t hold_list(const struct tenant *tenant, enum hold_type ret[static HOLD_TYPE_N]);
/* "billing, abuse". Returns out. */
const char *hold_names(const struct tenant *tenant, char out[static HOLD_NAMES_SIZE]);
/* When what it has frozen is stopped; 0: never. */
int64_t hold_stop_wall_usec(const struct hold *hold);

/*
 * FAILED_PRECONDITION / TENANT_SUSPENDED while there is a hold. The sentence has the types, and the
 * reasons that the tenant may know. For everything that would start, make or thaw anything.
 */
int hold_check(const struct tenant *tenant, struct err *err);
/* There is a hold of type abuse: the tenant's files may be evidence, and nothing ends them. */
bool hold_keeps_evidence(const struct tenant *tenant);
/*
 * What overwrites or deletes a tenant's files under a hold of type abuse ends evidence: returns
 * 0, or FAILED_PRECONDITION / FILES_ARE_EVIDENCE unless it is meant.
 */
int hold_check_evidence(const struct tenant *tenant, bool force, struct err *err);

/* --- hold_stop.c --- */

/* Sets or takes off the timer for the end of the grace; also after each reconciliation. */
void hold_watch(struct server *server, struct tenant *tenant);
/* All suspended tenants: the supervisor is there again. */
void hold_watch_all(struct server *server);
/* Stops now all that the tenant runs, to be started after the last hold. */
void hold_stop(struct server *server, struct tenant *tenant);
/*
 * The end of a run under a hold, about to be committed: keeps the container for afterwards where
 * nobody else ended it.
 */
void hold_note_end(struct container *container, bool was_stopped);
/* A restart or a reboot has come to be a stop: it starts after the last hold. */
void hold_keep(struct server *server, struct container *container);
/* Has just been read: takes off a mark of a hold that croftd did not live to see the end of. */
void hold_loaded(struct container *container);
/*
 * An ephemeral container whose run has ended: nothing keeps it from going. It neither comes back
 * after a hold, nor are its files evidence.
 */
bool hold_lets_go(const struct container *container);
/* A hold is gone, on record: what is ephemeral and was kept by it alone goes. */
void hold_drop_ended(struct server *server, struct tenant *tenant);
/* The last hold is gone, on record: what it kept down is due. */
void hold_release(struct server *server, struct tenant *tenant);

/* --- hold_thaw.c --- */

/*
 * No hold is left: thaws the tenant. done (may be NULL) is called once, later or from here, with
 * what came of it; where it failed it is due (tenant->thaw_due), and tried again by itself.
 */
void hold_thaw(struct server *server, struct tenant *tenant,
	void (*done)(void *arg, const struct err *err), void *arg);
/* What came of a thaw that was asked for; err NULL: done. Returns false when it is still frozen. */
bool hold_thawed(struct server *server, struct tenant *tenant, const struct err *err);
