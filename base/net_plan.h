/*
 * The plan of the containers' network: from the operator's pools, a tenant's network number and a
 * container's slot, every address and interface name follows by arithmetic.
 *
 * croftd hands out numbers and shows addresses, the supervisor makes interfaces; both call this, so
 * that only numbers travel between them. Pure functions: no system call, no state.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_NUMBER_MAX	     65535u /* networks, counted from 1; 0: none */
#define NET_SLOT_MAX	     8190u  /* containers of a network, counted from 1; 0: none */
#define NET_PREFIX_NAME_MAX  4	    /* the letters that begin an interface's name */
#define NET_PREFIX_NAME_SIZE (NET_PREFIX_NAME_MAX + 1)
#define NET_BRIDGE_PORTS_MAX 1000u /* the kernel's own limit is 1,023 ports (BR_MAX_PORTS) */
#define NET_SHARDS_MAX	     (NET_SLOT_MAX / 2 + 1)
#define NET_IFNAME_SIZE	     16 /* IFNAMSIZ */
#define NET_MAC_SIZE	     6
#define NET_MTU		     1500u
#define NET_TEXT_MAX	     64 /* an address, with its prefix length, as text */

/* An IPv4 (size 4) or IPv6 (size 16) address, in network order; size 0: none. */
struct net_address {
	uint8_t bytes[16];
	uint8_t size;
	uint8_t prefix; /* the length of its network's prefix */
};

/* A part of the address space that the operator gives; pool.size 0: none of this family. */
struct net_pool {
	struct net_address base;
	uint8_t tenant_prefix; /* each tenant's network is a prefix of this length in it */
};

/* Fixed size: it is part of wire messages. */
struct net_plan {
	struct net_pool ipv4;
	struct net_pool ipv6;
	char prefix_name[NET_PREFIX_NAME_SIZE];
	uint32_t bridge_ports; /* containers on one bridge; further ones get further bridges */
};

#define NET_RESOLVERS_MAX 4

/* Whom containers ask for names outside. Fixed size, as the plan. */
struct net_resolvers {
	uint32_t n;
	struct net_address list[NET_RESOLVERS_MAX];
};

/* A tenant's network. */
struct net_network {
	char bridge[NET_IFNAME_SIZE];
	uint8_t mac[NET_MAC_SIZE]; /* the bridge's */
	struct net_address ipv4;   /* the gateway's: the bridge's own */
	struct net_address ipv6;
};

/* A container's place in it. */
struct net_place {
	char port[NET_IFNAME_SIZE]; /* the host's end of its cable */
	uint32_t shard;		    /* the bridge it is on, counted from 0 */
	uint8_t mac[NET_MAC_SIZE];
	struct net_address ipv4;
	struct net_address ipv6;
};

/* A bridge beyond a tenant's first, and the cable between the two. */
struct net_shard {
	char bridge[NET_IFNAME_SIZE];
	char up[NET_IFNAME_SIZE];   /* the port on the first bridge */
	char down[NET_IFNAME_SIZE]; /* the port on this one */
	uint8_t mac[NET_MAC_SIZE];
};

/* No pool, and the usual names: no network. */
void net_plan_init(struct net_plan *plan);
/* True when there is a pool. */
bool net_plan_is_on(const struct net_plan *plan);

/*
 * Checks pools, prefix lengths and names: whether each address that follows is one that a host may
 * have, and each name one that an interface may have. Returns 0 or -EINVAL (INVALID_ARGUMENT,
 * NETWORK_INVALID) with a sentence.
 */
int net_plan_check(const struct net_plan *plan, struct err *err);

/* Checks resolvers that a peer sent: their number and form. Returns 0 or -EINVAL. */
int net_resolvers_check(const struct net_resolvers *resolvers, struct err *err);

/* How many networks the pools hold, and how many containers each; 0 without a pool. */
uint32_t net_plan_networks(const struct net_plan *plan);
uint32_t net_plan_slots(const struct net_plan *plan);

/*
 * What follows from numbers, of a plan that was checked. Each returns 0, or -ERANGE when a number
 * is 0 or beyond what the plan holds.
 */
int net_plan_network(const struct net_plan *plan, uint32_t number, struct net_network *ret);
int net_plan_place(
	const struct net_plan *plan, uint32_t number, uint32_t slot, struct net_place *ret);
/* shard counts from 1: the first bridge is the network's own. */
int net_plan_shard(
	const struct net_plan *plan, uint32_t number, uint32_t shard, struct net_shard *ret);

/* True for letters that may begin the names of interfaces: 1 to 4 of a to z. */
bool net_prefix_name_is_valid(const char *name);

/* Reads "10.80.0.0/12" or "fd00:1::/48"; bits behind the prefix must be 0. Returns 0 or -EINVAL. */
int net_parse_pool(const char *text, struct net_address *ret);
/* Reads an address alone. Returns 0 or -EINVAL. */
int net_parse_address(const char *text, struct net_address *ret);
/* Whether an address of the same family lies within the first one's prefix. */
bool net_address_holds(const struct net_address *network, const uint8_t *address);
/* "10.80.0.2", with its prefix length "10.80.0.2/24"; "" for none. Returns out. */
const char *net_format(const struct net_address *address, char out[static NET_TEXT_MAX]);
const char *net_format_prefix(const struct net_address *address, char out[static NET_TEXT_MAX]);
/* The network an address is in: its bits behind the prefix cleared. */
struct net_address net_network_of(const struct net_address *address);
/* True for 127.0.0.0/8, ::1 and IPv4's loopback in IPv6. */
bool net_is_loopback(const struct net_address *address);
