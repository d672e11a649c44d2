/*
 * Rolling a plan out: its tenants get its limits, one after the other.
 *
 * A tenant that refuses keeps what it has, and `plan_refusal` says why. Nothing of a roll-out is on
 * record: whoever is behind is found by comparing, so one that a crash cut off is gone on with at
 * the next start.
 */
#pragma once

#include "server/plan.h"

struct server;

/*
 * Rolls out a plan, which is `changing` and stays so until done is called, once, from here or
 * later. force lowers memory and disk below what is in use. Returns 0 or -ENOMEM (done is not
 * called).
 */
int plan_rollout(struct server *server, struct plan *plan, bool force, void (*done)(void *arg),
	void *arg, struct err *err);

/* The supervisor is there (again): tenants that are behind and have not refused get their turn. */
void plan_rollout_resume(struct server *server);
