/*
 * The counters of containers' traffic, read from the kernel's tables over netlink.
 *
 * They lie in tables that no change of rules touches (net_rules.h), are 0 when a container's
 * interface is added, and outlive the interface. Bytes are those of IP packets without Ethernet
 * headers, as the host handles them: what the kernel passes on as one large segment is one packet
 * with one header. What was dropped is not counted.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"

#include <stddef.h>
#include <stdint.h>

struct net_traffic {
	uint64_t bytes;
	uint64_t packets;
};

/*
 * Of one container. `all` is everything through its interface; `outside` what was routed to or
 * from anywhere but the tenant's own containers. The rest is the neighbours' and the host's.
 */
struct net_usage {
	struct net_traffic all_in; /* towards the container */
	struct net_traffic all_out;
	struct net_traffic outside_in;
	struct net_traffic outside_out;
};

/* Everything counted, at one look. */
struct net_usage_table;

/*
 * Reads all counters of an instance. Needs CAP_NET_ADMIN. An instance without tables has none.
 * Returns 0 with *ret owned by the caller, or -errno.
 */
int net_usage_read(const struct net_plan *plan, struct net_usage_table **ret, struct err *err);
void net_usage_destroy(struct net_usage_table *table);

/* What was counted for a container; all 0 when it is not counted. */
void net_usage_of(
	const struct net_usage_table *table, const struct net_place *place, struct net_usage *ret);

/* The sets of counters, in the tables' order. */
enum net_usage_set {
	NET_USAGE_ALL_OUT, /* bridge: by port */
	NET_USAGE_ALL_IN,  /* bridge: by port */
	NET_USAGE_OUT4,	   /* inet: by address */
	NET_USAGE_IN4,
	NET_USAGE_OUT6,
	NET_USAGE_IN6,
	NET_USAGE_SET_N,
};

/* Calls fn for each counter there is: its set and key, an interface's name or an address. */
void net_usage_for_each(const struct net_usage_table *table,
	void (*fn)(enum net_usage_set set, const uint8_t key[static 16], void *arg), void *arg);

/* The name of a set, and the family of its table: "bridge" or "inet". */
const char *net_usage_set_name(enum net_usage_set set);
const char *net_usage_set_family(enum net_usage_set set);
