/*
 * Rate limits: how many bytes a second may go to and from a container, or between a tenant's
 * network and everything outside it.
 *
 * A token bucket (tc-tbf(8)) delays what comes too fast, which TCP takes as a slower line; what
 * overruns its queue is dropped. Towards a container it is on the host's end of its cable, which
 * the container cannot touch. The other way there is no queue to delay things in, so what comes in
 * is led through an interface of its own that has one: an ifb. For a tenant it is the same on its
 * bridge, which neighbours' traffic does not cross, with a cable instead.
 *
 * The same on both cgroup drivers: none is involved. For workers, in the host's network namespace.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "base/net_plan.h"

#include <stdint.h>

/* Behind the name of the interface whose traffic is led through it: the queue of what is sent. */
#define NET_SHAPE_QUEUE 'o'

/* Bytes of IP packets a second; 0: unlimited. Short packets get somewhat less: headers count. */
struct net_rates {
	uint64_t in; /* towards the container or tenant */
	uint64_t out;
};

static inline struct net_rates net_rates_of(const struct limits *limits)
{
	uint64_t in = limits->value[LIMIT_RATE_IN];
	uint64_t out = limits->value[LIMIT_RATE_OUT];

	return (struct net_rates){
		.in = in == LIMIT_UNSET ? 0 : in, .out = out == LIMIT_UNSET ? 0 : out};
}

/*
 * Sets the limits of the interface of a place (slot not 0) or of a tenant's bridge (slot 0), which
 * exists. May be called again with others at any time. Returns 0, -ERANGE for numbers beyond the
 * plan or rates beyond the bounds, -ENODEV without the interface, or -errno.
 */
int net_shape_set(const struct net_plan *plan, uint32_t number, uint32_t slot,
	const struct net_rates *rates, struct err *err);

/* Removes what net_shape_set() made beside the interface of a place, which may be gone. */
int net_shape_forget(const struct net_plan *plan, uint32_t number, uint32_t slot, struct err *err);

/*
 * Removes what net_shape_set() made beside the interfaces that are gone: the rest went with them.
 * Idempotent; what a crash left goes too.
 */
int net_shape_sweep(const struct net_plan *plan, struct err *err);
