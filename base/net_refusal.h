/*
 * What the packet filter refuses, by reason, as its counters are named and messages have it. Those
 * of a tenant's caps are each tenant's own; those of what no honest container sends are of the
 * whole instance, as the filter has no counter for each port and reason. Behind them what it counts
 * of each tenant and lets through: connections, by their first packet.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum net_refusal_reason {
	NET_REFUSED_CONNECTIONS, /* of a tenant: too many at a time */
	NET_REFUSED_FLOWS,	 /* too many new ones a second */
	NET_REFUSED_PACKETS,	 /* too many packets a second */
	NET_REFUSED_SMTP,	 /* port 25, which is shut */
	NET_REFUSED_OF_TENANTS,
	NET_REFUSED_SPOOFED_MAC = NET_REFUSED_OF_TENANTS, /* of all */
	NET_REFUSED_SPOOFED_IP4,
	NET_REFUSED_SPOOFED_IP6,
	NET_REFUSED_SPOOFED_ARP,
	NET_REFUSED_SPOOFED_ND,
	NET_REFUSED_ROGUE_DHCP,
	NET_REFUSED_ROGUE_ICMP6,
	NET_REFUSED_OTHER_TENANTS,
	NET_REFUSED_N,
	NET_OPENED_CONNECTIONS = NET_REFUSED_N, /* of a tenant: begun by it, and outside */
	NET_OPENED_SMTP,			/* those of them to port 25 */
	NET_COUNTED_N,
	NET_OPENED_N = NET_COUNTED_N - NET_REFUSED_N,
	NET_DROPPED_IN = NET_COUNTED_N, /* by a rate limit's queue, of a tenant or a container */
	NET_DROPPED_OUT,
	NET_REASON_N,
	NET_DROPPED_N = NET_REASON_N - NET_COUNTED_N,
};

/* Part of a message: fixed size. */
struct net_refusal {
	uint32_t network; /* its number; 0: of all */
	uint32_t slot;	  /* of a container, where it is dropped by its own limit; else 0 */
	uint32_t reason;
	uint32_t zero;
	uint64_t packets;
};

/* Whether each tenant has a counter of its own; below NET_COUNTED_N. */
bool net_refusal_is_of_tenant(uint32_t reason);

/* "spoofed_mac": the counter's name, behind "tN_" for those of tenants; NULL behind the last. */
const char *net_refusal_name(uint32_t reason);

/* Their order: by network, slot and reason. Below, at or above 0. */
int net_refusal_compare(const struct net_refusal *a, const struct net_refusal *b);

/* What a counter's name says; -ENOENT for another. */
int net_refusal_parse(const char *name, struct net_refusal *ret);
