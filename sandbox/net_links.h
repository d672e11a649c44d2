/*
 * A container's cable: from its tenant's bridge to `eth0` in its network namespace, with everything
 * about it set from outside, before init runs. It goes with that namespace.
 *
 * For workers; the calling process must be in the host's network namespace.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"
#include "sandbox/net_bridge.h"
#include "sandbox/net_usage.h"

#include <sys/types.h>

/* A container's place in a tenant's network, as told by numbers. */
struct net_seat {
	const struct net_plan *plan; /* checked */
	const char *tenant;
	uint32_t number;
	uint32_t slot;
	struct net_rates rates;	       /* of the container */
	struct net_rates tenant_rates; /* of its tenant's bridge, when it has to be made */
};

/*
 * Makes what is missing of the tenant's bridge, and the cable to the network namespace of a
 * process that does not run yet (init, held at its barrier), with addresses and routes. What a run
 * that has just ended left of its cable is replaced. *ret says how far the counters of the place
 * were when no packet had passed the new one. Returns 0, or -errno with no cable left.
 */
int net_links_attach(const struct net_owner *owner, const struct net_seat *seat, pid_t init_pid,
	int init_pidfd, struct net_account *ret, struct err *err);
/* Removes the cable that net_links_attach() made. */
int net_links_detach(const struct net_seat *seat, struct err *err);
