/*
 * The sweep: every sampling interval each running container's counters are read and kept, in one
 * transaction. Reads are spread over the loop's turns, so that nobody waits for a sweep.
 */
#pragma once

#include "sandbox/supervisor_client.h"
#include "server/server.h"

/*
 * Has what runs now on the ledger, of one tenant (NULL: of all): done is called when a sweep that
 * began after this call is committed, or at once when nothing runs. Callers share sweeps, and those
 * made for them take a tenth of the time at most, and one a second: asking often only waits longer.
 * Returns 0 or -ENOMEM (done is not called).
 */
int sampler_catch_up(struct server *server, struct tenant *only,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);

int sampler_create(struct server *server, struct err *err);
void sampler_destroy(struct server *server);

/* Sets the timer of a look at what is not in the sweep: as often as that, and once a second at
 * most. */
void sampler_arm_look(const struct server *server, struct event *timer);

/* The kernel's notice that a container met a limit: told as an event at once. */
void sampler_limit_hit(struct server *server, const struct msg_limit_hit *msg);

/*
 * What a container, or a tenant (own directory), uses this moment; its traffic as of the last look
 * at it (traffic.h). Returns 0, or -errno when it does not run.
 */
int sampler_read_now(const struct server *server, const struct run *run, struct usage_point *ret);
/*
 * Puts a sample of what a tenant's directory counts, and of its work outside containers: of a sweep
 * (its number), or the last before the directory goes (LEDGER_FINAL). Returns how many it put.
 */
size_t sampler_take_tenant(
	struct server *server, struct db_tx *tx, struct tenant *tenant, uint64_t sweep);
