/*
 * Who has which place in the network: tenants' network numbers and containers' slots. A number is
 * given once, kept until its holder is deleted, and not given again before all others.
 */
#pragma once

#include "server/server.h"

/*
 * Gives a container its place, and its tenant a network if it is the first. Nothing to do where
 * the host has no pool, and for a container that has a place or is to have none. The place is
 * stored with the container (store_put_container()). RESOURCE_EXHAUSTED / NO_NETWORK_LEFT or
 * NO_ADDRESS_LEFT.
 */
int network_place(struct server *server, struct container *container, struct err *err);
/* Works out the addresses of all that was loaded. */
void network_load(struct server *server);

/*
 * The numbers that a start sends: 0 for a container without a network. FAILED_PRECONDITION /
 * NETWORK_MOVED when its place is outside the pools as they are now.
 */
int network_fill_start(const struct server *server, const struct container *container,
	struct msg_container_start *msg, struct err *err);
/* What the supervisor is told of the network after each connection. */
void network_fill_config(const struct server *server, struct msg_net_config *ret);

/*
 * The packet filter (network_filter.c). Its rules for a tenant and a place are made by the first
 * start, and stay until the tenant goes: they follow from the numbers alone.
 */

/* What a start is to add; called with the numbers filled in. */
void network_fill_filter(struct container *container, struct msg_container_start *msg);
/* The start has succeeded (failure NULL) or not. */
void network_note_filter(struct container *container, const struct err *failure);
/*
 * Makes the whole of the rules what it should be. Only while nothing starts: as a part of the
 * reconciliation. done is called once, on the loop. Returns 0 or -errno (done is not called).
 */
int network_replace_filter(struct server *server, void (*done)(void *arg, const struct err *err),
	void *arg, struct err *err);
/*
 * Makes or removes one forward, or all of a container that is gone, or changes what a tenant may.
 * done is called once, on the loop. Return 0 or -errno (done is not called).
 */
int network_change_forward(struct server *server, const struct forward *forward, bool remove,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);
int network_change_tenant(struct server *server, const struct tenant *tenant,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);
/*
 * What a container leaves that is gone: true when there is something to wait for. Its end is no
 * matter of success: the next reconciliation removes what stayed.
 */
bool network_forget_forwards(struct server *server, const struct container *container,
	void (*done)(void *arg, const struct err *err), void *arg);
/* The same of a tenant; done is called in any case, maybe at once. */
void network_forget_filter(
	struct server *server, struct tenant *tenant, void (*done)(void *arg), void *arg);

/* How many tenants have a network, and how many containers of one have a place. */
uint32_t network_count(const struct server *server);
uint32_t network_count_places(const struct tenant *tenant);
