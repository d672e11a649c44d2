/*
 * The counters of containers' traffic, read from the kernel's tables over netlink.
 *
 * They lie in tables that no change of rules touches (net_rules.h), are 0 when a container's
 * place is added, run on from one run of it to the next, and outlive its interface. Bytes are those
 * of IP packets without Ethernet headers, as the host handles them: what the kernel passes on as
 * one large segment is one packet with one header. What the rules drop is not counted; what a
 * tenant's own rate limit drops has come in and counts as outside.
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
 * Of one container: fixed size, as it is part of messages and files. `all` is everything through
 * its interface; `outside` what was routed to or from anywhere but the tenant's own containers. The
 * rest is the neighbours' and the host's.
 */
struct net_usage {
	struct net_traffic all_in; /* towards the container */
	struct net_traffic all_out;
	struct net_traffic outside_in;
	struct net_traffic outside_out;
};

/*
 * What the counters of a run's traffic said before its first packet: they run on from run to run.
 * Unlike others they do not begin at 0, and only the difference is its traffic.
 */
struct net_base {
	uint64_t valid; /* 0: it has no network, or nobody read them then */
	struct net_usage usage;
};

/*
 * Where it is counted, for whoever has no plan any more, or another one: a run's final figures are
 * read by this. Fixed size, part of the run's file.
 */
struct net_source {
	char prefix_name[8]; /* of the plan */
	struct net_place place;
};

/* Of a run: where its traffic is counted, and from what on. */
struct net_account {
	struct net_source source;
	struct net_base base;
};

struct net_source net_source_of(const struct net_plan *plan, const struct net_place *place);
/*
 * Reads the counters of one place, however many there are. What is not counted reads as 0. Needs
 * CAP_NET_ADMIN. Returns 0 or -errno.
 */
int net_usage_read_one(const struct net_source *source, struct net_usage *ret, struct err *err);

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
	NET_USAGE_TO_OWN, /* bridge: by port and MAC; to the container's own addresses */
	NET_USAGE_SET_N,
};

struct net_usage_key {
	uint8_t first[16]; /* an interface's name, or an address; unique within a set */
	uint8_t mac[6];	   /* of NET_USAGE_TO_OWN */
};

/* Calls fn for each counter there is: its set and key. */
void net_usage_for_each(const struct net_usage_table *table,
	void (*fn)(enum net_usage_set set, const struct net_usage_key *key, void *arg), void *arg);

/*
 * Calls fn for each container's interface, in order of names, with the packets that came to the
 * container's own addresses: no ARP, no neighbour discovery, nothing for many. Reads that set
 * alone. Returns 0 or -errno.
 */
int net_usage_own_packets(const struct net_plan *plan,
	void (*fn)(const char *port, uint64_t packets, void *arg), void *arg, struct err *err);

/* The name of a set, and the family of its table: "bridge" or "inet". */
const char *net_usage_set_name(enum net_usage_set set);
const char *net_usage_set_family(enum net_usage_set set);
