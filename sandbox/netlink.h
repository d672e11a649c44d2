/*
 * Route netlink (rtnetlink(7)) over libmnl: several changes in one message to the kernel, each
 * acknowledged by itself, and links looked up by name or kind.
 *
 * A socket belongs to the network namespace it was made in. Everything blocks for as long as the
 * kernel's rtnl lock is held elsewhere, so it is for workers.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>

#define NETLINK_CHANGES_MAX 16
#define NETLINK_BATCH_SIZE  4096
#define NETLINK_ALIAS_SIZE  256 /* IFALIASZ */

/* Changes to be made, in this order. */
struct netlink_batch {
	_Alignas(NLMSG_ALIGNTO) uint8_t data[NETLINK_BATCH_SIZE];
	struct nlmsghdr *last; /* being filled; NULL: none yet */
	struct {
		const char *what; /* for people */
		int tolerated;	  /* an errno that is no failure; 0: none */
	} changes[NETLINK_CHANGES_MAX];
	size_t n;
};

struct netlink_link {
	int index;
	unsigned flags; /* IFF_* */
	int master;	/* index of the bridge it is on; 0: none */
	uint8_t mac[NET_MAC_SIZE];
	char name[NET_IFNAME_SIZE];
	char kind[16];
	char alias[NETLINK_ALIAS_SIZE];
};

/* A socket for the calling process's network namespace, the caller's; or -errno. */
int netlink_open(struct err *err);

void netlink_begin(struct netlink_batch *batch);
/*
 * Begins a change, to be filled with libmnl: its headers follow by mnl_nlmsg_put_extra_header().
 * `what` names it ("add the address"), a literal. An error that equals `tolerated` is none. All
 * that a batch may hold is chosen by its caller and fits.
 */
struct nlmsghdr *netlink_add(struct netlink_batch *batch, uint16_t type, uint16_t flags,
	const char *what, int tolerated);
/* Sends the batch. Returns 0, or -errno of the first change that failed; later ones were tried. */
int netlink_commit(int fd, struct netlink_batch *batch, struct err *err);

/* Looks a link up by name. Returns 0, -ENODEV (err untouched) or -errno. */
int netlink_find(int fd, const char *name, struct netlink_link *ret, struct err *err);
/* Calls fn for each link of a kind ("bridge"); fn may not use fd. Returns 0 or -errno. */
int netlink_for_each(int fd, const char *kind,
	void (*fn)(const struct netlink_link *link, void *arg), void *arg, struct err *err);

/* Changes of common form. An index of 0 means: by name. */
void netlink_add_address(struct netlink_batch *batch, int index, const struct net_address *address);
void netlink_add_default_route(
	struct netlink_batch *batch, int index, const struct net_address *gateway);
void netlink_add_up(struct netlink_batch *batch, int index);
void netlink_add_delete(struct netlink_batch *batch, int index);
