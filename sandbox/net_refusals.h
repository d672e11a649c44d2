/* The packet filter's counters of what it refused, read over netlink. */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"
#include "base/net_refusal.h"

#include <stddef.h>

/*
 * Reads those that are not 0, in order of network and reason. Needs CAP_NET_ADMIN. An instance
 * without tables has none. Returns 0 with *ret owned by the caller (free()), or -errno.
 */
int net_refusals_read(
	const struct net_plan *plan, struct net_refusal **ret, size_t *ret_n, struct err *err);
