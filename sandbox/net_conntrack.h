/*
 * Connections that the kernel tracks: ending those that are to be no more. What is tracked goes on
 * where it once led, whatever the packet filter's rules have become since.
 */
#pragma once

#include "sandbox/net_rules.h"

/*
 * Ends what leads to what these rows have taken out of the rules (NET_REMOVE): with a forward,
 * the connections that it has led to its container; with a tenant, all of its network. Looks
 * through the whole table of the kernel, so it is for workers; in the host's network namespace,
 * with CAP_NET_ADMIN there. Returns 0 or -errno.
 */
int net_conntrack_cut(const struct net_rules *rules, struct err *err);
