/*
 * How many packets came for containers, as the supervisor reads it of the packet filter: those to
 * one address, so not what every neighbour is asked (ARP, ND, multicast), and to the container's
 * own MAC, so not what a bridge sends to every port.
 */
#pragma once

#include "server/server.h"

struct idle_packets;

/* Asks for all of them. done is called once, later; NULL: nobody can tell. Returns 0 or -errno. */
int idle_packets_ask(struct server *server,
	void (*done)(void *arg, const struct idle_packets *table), void *arg);
/* Of one container that has a place in the network. False: it is not counted. */
bool idle_packets_of(
	const struct idle_packets *table, const struct container *container, uint64_t *ret);
