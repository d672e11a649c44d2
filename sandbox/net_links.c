/* A container's cable; see net_links.h. */
#include "sandbox/net_links.h"

#include "base/cleanup.h"
#include "sandbox/net_cable.h"
#include "sandbox/netlink.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>

#define INSIDE_NAME "eth0"

/*
 * No router but Croft configures a container; and nobody else can have its addresses, so that they
 * may be used at once.
 */
static const struct net_sysctl inside_sysctls[] = {
	{"ipv6", "accept_ra", "0"},
	{"ipv6", "autoconf", "0"},
	{"ipv6", "accept_dad", "0"},
};

/*
 * The cable of a run that has just ended goes with its namespace, which the kernel takes its time
 * for. Only called for a name below a bridge that is ours.
 */
static int remove_cable(int fd, const char *name, struct err *err)
{
	struct netlink_batch batch;
	struct netlink_link link;
	int r = netlink_find(fd, name, &link, err);

	if (r < 0)
		return r == -ENODEV ? 0 : r;
	if (strcmp(link.kind, "veth") != 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "INTERFACE_NOT_OURS",
			"the host has an interface %s that is not Croft's: choose another bridge "
			"prefix",
			name);
	netlink_begin(&batch);
	netlink_add_delete(&batch, link.index);
	return netlink_commit(fd, &batch, err);
}

static int make_cable(int fd, const struct net_place *place, pid_t init_pid, struct err *err)
{
	struct net_cable_end inside = {
		.name = INSIDE_NAME, .mac = place->mac, .netns_of = init_pid};
	int r = net_cable_make(fd, place->port, &inside, err);

	if (r != -EEXIST)
		return r;
	r = remove_cable(fd, place->port, err);
	return r < 0 ? r : net_cable_make(fd, place->port, &inside, err);
}

/* In the container's network namespace. */
static int configure_inside(
	const struct net_network *network, const struct net_place *place, struct err *err)
{
	_cleanup_close_ int fd = netlink_open(err);
	struct netlink_batch batch;
	struct netlink_link link;
	int r;

	if (fd < 0)
		return fd;
	r = netlink_find(fd, INSIDE_NAME, &link, err);
	if (r == -ENODEV)
		return err_sys(err, r, "find the container's interface");
	if (r == 0)
		r = net_sysctl_set(INSIDE_NAME, inside_sysctls, ARRAY_SIZE(inside_sysctls), err);
	if (r < 0)
		return r;
	netlink_begin(&batch);
	if (place->ipv4.size)
		netlink_add_address(&batch, link.index, &place->ipv4);
	if (place->ipv6.size)
		netlink_add_address(&batch, link.index, &place->ipv6);
	netlink_add_up(&batch, link.index);
	if (network->ipv4.size)
		netlink_add_default_route(&batch, link.index, &network->ipv4);
	if (network->ipv6.size)
		netlink_add_default_route(&batch, link.index, &network->ipv6);
	return netlink_commit(fd, &batch, err);
}

/* Goes into the namespace and comes back, whatever happened there. */
static int configure(const struct net_network *network, const struct net_place *place,
	int init_pidfd, struct err *err)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0 || setns(init_pidfd, CLONE_NEWNET) < 0)
		return err_sys(err, errno, "enter the container's network namespace");
	r = configure_inside(network, place, err);
	if (setns(home, CLONE_NEWNET) < 0)
		return err_sys(err, errno, "leave the container's network namespace");
	return r;
}

static int find_seat(const struct net_seat *seat, struct net_network *network,
	struct net_place *place, struct err *err)
{
	if (net_plan_network(seat->plan, seat->number, network) < 0 ||
		net_plan_place(seat->plan, seat->number, seat->slot, place) < 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID",
			"the container's place in the network is not in the host's pools");
	return 0;
}

/* Between the old cable, of which a last packet may be counted, and the new one's first. */
static int open_account(const struct net_plan *plan, const struct net_place *place,
	struct net_account *ret, struct err *err)
{
	struct net_account account = {.source = net_source_of(plan, place), .base = {.valid = 1}};
	int r = net_usage_read_one(&account.source, &account.base.usage, err);

	if (r == 0)
		*ret = account;
	return r;
}

int net_links_attach(const struct net_owner *owner, const struct net_seat *seat, pid_t init_pid,
	int init_pidfd, struct net_account *ret, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct net_network network;
	struct net_place place;
	int bridge;
	int r = find_seat(seat, &network, &place, err);

	if (r == 0)
		r = net_bridge_ensure(owner, seat->plan, seat->tenant, seat->number, place.shard,
			&seat->tenant_rates, &bridge, err);
	if (r < 0)
		return r;
	fd = netlink_open(err);
	if (fd < 0)
		return fd;
	r = make_cable(fd, &place, init_pid, err);
	if (r < 0)
		return r;
	r = open_account(seat->plan, &place, ret, err);
	if (r == 0)
		r = net_cable_connect(fd, place.port, bridge, err);
	if (r == 0 && (seat->rates.in || seat->rates.out))
		r = net_shape_set(seat->plan, seat->number, seat->slot, &seat->rates, err);
	if (r == 0)
		r = configure(&network, &place, init_pidfd, err);
	if (r < 0) {
		remove_cable(fd, place.port, NULL);
		net_shape_forget(seat->plan, seat->number, seat->slot, NULL);
	}
	return r;
}

int net_links_detach(const struct net_seat *seat, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct net_network network;
	struct net_place place;
	int r = find_seat(seat, &network, &place, err);

	if (r < 0)
		return r;
	fd = netlink_open(err);
	r = fd < 0 ? fd : remove_cable(fd, place.port, err);
	return r < 0 ? r : net_shape_forget(seat->plan, seat->number, seat->slot, err);
}
