/* What rate limits have dropped, of every container and tenant of an instance, at one look. */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"
#include "base/net_refusal.h"

#include <stddef.h>

/*
 * Adds a row to *rows (malloc()'s, of *n) for each token bucket (net_shape.h) that has dropped
 * packets since it was made: in order of network, slot and reason behind those that were there.
 * They stay the caller's, who frees them. For workers, in the host's network namespace. Returns 0
 * or -errno.
 */
int net_drops_add(
	const struct net_plan *plan, struct net_refusal **rows, size_t *n, struct err *err);
/* Whose bucket is at the end of an interface, by its name; -ENOENT: none of the plan's. */
int net_drops_owner(const struct net_plan *plan, const char *interface, struct net_refusal *ret);
