/*
 * What the supervisor says to croft-net: who may send what, as numbers.
 *
 * One struct net_header and header.n_rows of struct net_row, of exactly that size, in a sealed
 * memfd on standard input. Names of interfaces and addresses follow from the plan and the numbers
 * (base/net_plan.h). croft-net checks each row again, writes the rules itself, and answers with one
 * struct net_result on standard output. Nothing that it is given becomes rules as text.
 *
 * The tables are named after the instance, by the letters its interfaces begin with:
 *   inet croft_cft, bridge croft_cft               the rules: hold nothing worth keeping
 *   inet croft_cft_count, bridge croft_cft_count   the counters (net_usage.h): never replaced
 *
 * Both ends come from one build: NET_RULES_VERSION changes with any change in this file.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_RULES_MAGIC	  0x5254454eu /* "NETR" */
#define NET_RULES_VERSION 2u
#define NET_ROWS_MAX	  262144u

enum net_op {
	/*
	 * The rules are what the rows say, whatever there was. Counters of containers that have a
	 * row run on, of either kind; those of others are removed.
	 */
	NET_REPLACE = 1,
	/*
	 * The rows' elements are added to those that exist, and may be there already. A tenant's
	 * row replaces its caps; the tenant of any other row has one too, or is there already. A
	 * container's counters begin at 0. Refused (NET_RULES_REFUSED, nothing was changed) when
	 * there are no tables or something else is in the place: NET_REPLACE is due then.
	 */
	NET_ADD,
	/*
	 * The rows' elements go, whether they are there or not; counters stay. With a tenant go all
	 * its containers and forwards, along or before. Else NET_RULES_REFUSED.
	 */
	NET_REMOVE,
	NET_FORGET, /* The counters of these containers go, and of these tenants what serves them.
		     */
	NET_DROP,   /* All tables go, with the counters; no rows. */
};

struct net_header {
	uint32_t magic;
	uint32_t version;
	uint32_t op; /* enum net_op */
	uint32_t n_rows;
	struct net_plan plan;
};

enum net_row_kind {
	NET_TENANT = 1,
	NET_CONTAINER,
	NET_FORWARD,
	NET_COUNTED, /* a place without rules, whose counters somebody has still to read */
};

/* Caps over all containers of a tenant. None can be off. */
struct net_caps {
	uint32_t flows;	      /* new connections a second, in and out, but to its neighbours */
	uint32_t packets;     /* a second, sent by its containers */
	uint32_t connections; /* tracked at a time */
	uint8_t smtp;	      /* 1: may connect to port 25 outside */
	uint8_t zero[3];
};

#define NET_FLOWS_MAX	    1000000u
#define NET_PACKETS_MAX	    10000000u
#define NET_CONNECTIONS_MAX 10000000u

/* What a tenant is given that asks for nothing. */
#define NET_FLOWS_DEFAULT	500u
#define NET_PACKETS_DEFAULT	100000u
#define NET_CONNECTIONS_DEFAULT 16384u

/* Ports first to last of the host become ports to, to + 1, ... of a container. */
struct net_forward {
	uint16_t first;
	uint16_t last;
	uint16_t to;
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t family;	  /* 4 or 6 */
	/* The host's address, of that family; size 0: every one but loopback. prefix is 0. */
	struct net_address listen;
	uint8_t zero[6];
};

#define NET_FORWARD_PORTS_MAX 4096u /* of one row */

struct net_row {
	uint32_t kind;	 /* enum net_row_kind */
	uint32_t tenant; /* the number of its network */
	uint32_t slot;	 /* the container's; of a tenant 0 */
	uint32_t zero;
	union {
		struct net_caps caps;
		struct net_forward forward;
		uint8_t bytes[32]; /* of a container or what is counted: zero */
	} u;
};

struct net_rules {
	struct net_header header;
	const struct net_row *rows; /* header.n_rows */
};

struct net_result {
	uint32_t magic;
	uint32_t version;
	struct err err; /* code ERR_OK: done */
};

/*
 * Checks all of the input: size, header, plan, each row's numbers and unused bytes, and that
 * nothing comes twice, be it one of a range of forwarded ports. ret->rows points into data, which
 * must be aligned as malloc(3) does. Returns 0, or -EINVAL (INVALID_ARGUMENT, NET_RULES_INVALID)
 * naming the row.
 */
int net_rules_parse(const void *data, size_t size, struct net_rules *ret, struct err *err);

#define NET_TABLE_SIZE 24
/* The name of the tables of rules; with counters, that of the others. */
void net_rules_table(const struct net_plan *plan, int counters, char ret[static NET_TABLE_SIZE]);

/* --- net_rows.c --- */

/*
 * Packs rows of a plan into a sealed memfd, the caller's, for croft-net. Returns it or -errno. They
 * are checked by whoever takes them.
 */
int net_rows_pack(const struct net_plan *plan, enum net_op op, const struct net_row *rows,
	uint32_t n, struct err *err);
struct net_row net_row_tenant(uint32_t number, const struct net_caps *caps);
struct net_row net_row_container(uint32_t number, uint32_t slot);
/* The caps of a tenant that asks for nothing. */
struct net_caps net_caps_default(bool smtp);
