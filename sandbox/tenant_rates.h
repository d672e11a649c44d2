/*
 * Limits of the tenants' network rates, as croftd last said: a tenant's bridge is made by a start,
 * which may come long after. Only in memory, since croftd says them again after each connection,
 * before anything can start; and in the order of its requests, so that a bridge made for an older
 * one is put right.
 */
#pragma once

#include "sandbox/net_shape.h"
#include "sandbox/supervisor.h"

/* Remembers; both 0 is none. Returns 0 or -ENOMEM. */
int tenant_rates_note(
	struct supervisor *s, const char *tenant, const struct net_rates *rates, struct err *err);
struct net_rates tenant_rates_of(const struct supervisor *s, const char *tenant);
void tenant_rates_forget(struct supervisor *s, const char *tenant);
void tenant_rates_forget_all(struct supervisor *s);

/*
 * A start has ended that may have made the bridge of network `number` with limits that are not
 * those of now: they are set anew by a worker.
 */
void tenant_rates_check(
	struct supervisor *s, const char *tenant, uint32_t number, const struct net_rates *given);
