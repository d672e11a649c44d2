/*
 * The kernel's traffic control (tc(8)), as far as rate limits need it: token buckets at the end of
 * an interface, and what an interface receives led elsewhere. Changes are added to a batch.
 */
#pragma once

#include "base/err.h"
#include "sandbox/netlink.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes or changes the bucket at an interface's end: bytes of IP packets a second; 0: none. */
void net_tc_add_bucket(struct netlink_batch *batch, int index, uint64_t rate);

/* Where filters of what an interface receives are put. Removing it removes them; idempotent. */
void net_tc_add_hook(struct netlink_batch *batch, int index);
void net_tc_remove_hook(struct netlink_batch *batch, int index);

/*
 * Leads everything that an interface receives to another one: to be sent by that, or (`received`)
 * as if that had received it. The packet filter forgets what it knew of a packet.
 */
void net_tc_add_redirect(struct netlink_batch *batch, int from, int to, bool received);

/*
 * A program that has interface `to` send what it sees for the first time, and lets pass what comes
 * back: a mark tells, which nothing inside a container can set (it does not leave a network
 * namespace). Returns a descriptor, the caller's, or -errno.
 */
int net_tc_load_once(int to, struct err *err);
/* Has a program look at everything that an interface receives. */
void net_tc_add_program(struct netlink_batch *batch, int index, int program);
