/*
 * The connections that the kernel tracks, as it tells of them, one after the other. It sends its
 * whole table: it is for workers, in the host's network namespace, with CAP_NET_ADMIN there.
 */
#pragma once

#include "sandbox/nfnetlink.h"

#include <stdbool.h>
#include <stdint.h>

/* One direction of a connection. Addresses are in network order, ports are not; 0: it has none. */
struct net_tuple {
	const uint8_t *src;
	const uint8_t *dst;
	uint8_t protocol;
	uint16_t sport;
	uint16_t dport;
};

struct net_flow {
	struct net_tuple orig;
	struct net_tuple reply;
	uint32_t status;   /* enum ip_conntrack_status */
	bool counted;	   /* the host counts them (net.netfilter.nf_conntrack_acct) */
	uint64_t sent;	   /* bytes from who began it, */
	uint64_t received; /* and to it */
	/* By which it can be named to the kernel, as it sent them; NULL: it did not. */
	const struct nlattr *orig_attr;
	const struct nlattr *id_attr;
	const struct nlattr *zone_attr;
};

/*
 * Calls fn for each of a family (AF_INET or AF_INET6), until that returns MNL_CB_STOP, or
 * MNL_CB_ERROR with errno. Returns 0, -EINTR when the table changed meanwhile, or -errno.
 */
int net_flows_each(uint8_t family, int (*fn)(const struct net_flow *flow, void *arg), void *arg);

/* A request about connections, in a buffer of 64 bytes and what is added. */
struct nlmsghdr *net_flows_begin(
	char *buffer, uint16_t type, uint16_t flags, unsigned seq, uint8_t family);
