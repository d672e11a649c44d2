/*
 * Whom a container, or all of a tenant's, is connected with outside of its network: as evidence of
 * what it does. It is the kernel's own table, which a container fills by what it sends and by
 * nothing else.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"

#define NET_PEERS_MAX	 20u
#define NET_SERVICES_MAX 10u
/* Connections that are looked at: 40 bytes of a worker's memory each. Others are counted. */
#define NET_PEERS_FLOWS_MAX 131072u

/* Fixed size: it is part of a message. */
struct net_peer {
	struct net_address address; /* size 0: of a service, all that are connected */
	uint8_t protocol;	    /* IPPROTO_TCP, ... */
	uint8_t incoming;	    /* 1: the peer began it */
	uint16_t port;		    /* of whoever was called; 0: there are none */
	uint32_t connections;
	uint32_t peers; /* of a service: different ones */
	uint64_t sent;	/* bytes, by the container, where the host counts them */
	uint64_t received;
};

struct net_peers {
	uint64_t connections;
	uint64_t left_out; /* of them, not looked at */
	uint32_t n;
	uint32_t n_services;
	uint32_t counted; /* bytes are */
	uint32_t reserved;
	struct net_peer list[NET_PEERS_MAX]; /* most bytes first, then most connections */
	struct net_peer services[NET_SERVICES_MAX];
};

/*
 * Looks through the host's whole table: it is for workers, in the host's network namespace, with
 * CAP_NET_ADMIN there. slot 0: all of the network. Returns 0, -ERANGE for numbers that the plan
 * does not have, or -errno.
 */
int net_peers_read(const struct net_plan *plan, uint32_t number, uint32_t slot,
	struct net_peers *ret, struct err *err);

/* --- for tests --- */

/* A connection, from the side of the container. */
struct net_contact {
	uint8_t address[16]; /* of the peer; zeros behind one of IPv4 */
	uint8_t size;
	uint8_t protocol;
	uint8_t incoming;
	uint8_t reserved;
	uint16_t port;
	uint64_t sent;
	uint64_t received;
};

/* Sorts them, and sums them up. *ret keeps its figures about what was left out. */
void net_peers_sum(struct net_contact *contacts, size_t n, struct net_peers *ret);
