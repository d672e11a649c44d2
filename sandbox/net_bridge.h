/*
 * Bridges: one for each tenant that has a network, and further ones when it has more containers
 * than a bridge has ports, each connected to the first by a cable.
 *
 * The kernel's links are the only list: an alias says which instance and tenant a bridge belongs
 * to, and nothing without such an alias is ever touched. For workers.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"
#include "sandbox/net_shape.h"

/* Whose bridges: the instance, and a directory of its own for the lock. */
struct net_owner {
	const char *instance;
	int private_fd;
};

/*
 * Makes what is missing of bridge `shard` of a tenant's network. plan was checked. A first bridge
 * that is made has these limits of rates. Returns 0 with its interface's index.
 * FAILED_PRECONDITION / INTERFACE_NOT_OURS when somebody else has an interface of that name.
 */
int net_bridge_ensure(const struct net_owner *owner, const struct net_plan *plan,
	const char *tenant, uint32_t number, uint32_t shard, const struct net_rates *rates,
	int *ret_index, struct err *err);

/*
 * Sets the limits of rates of a tenant's network, which may have no bridge yet: then there is
 * nothing to do. Errors as net_bridge_ensure() and net_shape_set().
 */
int net_bridge_limit(const struct net_owner *owner, const struct net_plan *plan, const char *tenant,
	uint32_t number, const struct net_rates *rates, struct err *err);

/* Removes the bridges of a tenant, or (tenant NULL) of the whole instance. Idempotent. */
int net_bridge_remove(const struct net_owner *owner, const char *tenant, struct err *err);
