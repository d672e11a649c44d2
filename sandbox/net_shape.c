/*
 * Rates of interfaces; see net_shape.h. Only interfaces whose names follow from the plan are
 * touched.
 */
#include "sandbox/net_shape.h"

#include "base/cleanup.h"
#include "sandbox/net_cable.h"
#include "sandbox/net_tc.h"
#include "sandbox/netlink.h"

#include <inttypes.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>

static const struct net_sysctl detour_sysctls[] = {{"ipv6", "disable_ipv6", "1"}};

/* An interface that passes on what is led to it, through a queue. */
static void add_ifb(struct netlink_batch *batch, const char *name)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
		"make the queue of a rate limit", EEXIST);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	struct nlattr *nest;

	info->ifi_family = AF_UNSPEC;
	info->ifi_flags = IFF_UP;
	info->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	nest = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "ifb");
	mnl_attr_nest_end(nlh, nest);
}

/* Letters that cannot end a name of the plan's own: those end in digits, or in `d` and `u`. */
#define QUEUE NET_SHAPE_QUEUE
#define BACK  'b' /* the far end of a bridge's queue */

static void beside(const char *interface, char letter, char ret[static NET_IFNAME_SIZE])
{
	snprintf(ret, NET_IFNAME_SIZE, "%.14s%c", interface, letter);
}

/* Leads what a port receives through its queue: in front of the bridge, from where it goes on. */
static int limit_port(
	int fd, const struct netlink_link *link, const char *name, uint64_t rate, struct err *err)
{
	struct netlink_batch batch;
	struct netlink_link ifb;
	int r;

	netlink_begin(&batch);
	add_ifb(&batch, name);
	r = netlink_commit(fd, &batch, err);
	if (r == 0)
		r = netlink_find(fd, name, &ifb, err);
	if (r < 0)
		return r;
	/* The queue first, so that nothing passes it unlimited; the hook anew, since it may lead to
	 * an interface that was removed. */
	netlink_begin(&batch);
	net_tc_add_bucket(&batch, ifb.index, rate);
	net_tc_remove_hook(&batch, link->index);
	net_tc_add_hook(&batch, link->index);
	net_tc_add_redirect(&batch, link->index, ifb.index, false);
	return netlink_commit(fd, &batch, err);
}

/* The far end has the bridge's address: a frame to another than its own is taken for a stranger's.
 */
static int make_detour(int fd, const struct netlink_link *bridge, const char *name,
	struct netlink_link *ret_near, struct netlink_link *ret_far, struct err *err)
{
	char far[NET_IFNAME_SIZE];
	struct net_cable_end end = {.name = far, .mac = bridge->mac};
	int r;

	beside(bridge->name, BACK, far);
	r = netlink_find(fd, name, ret_near, err);
	if (r == -ENODEV)
		r = net_cable_make(fd, name, &end, err);
	if (r == 0)
		r = netlink_find(fd, name, ret_near, err);
	if (r == 0)
		r = netlink_find(fd, far, ret_far, err);
	if (r == 0)
		r = net_sysctl_set(name, detour_sysctls, ARRAY_SIZE(detour_sysctls), err);
	return r < 0 ? r : net_sysctl_set(far, detour_sysctls, ARRAY_SIZE(detour_sysctls), err);
}

/*
 * Leads what a bridge hands up to the host through a cable with a queue, and from its far end back
 * to the bridge. An ifb would not do: with br_netfilter the packet filter has seen the packet
 * already, and passes it unseen when it comes up. Led elsewhere it would have forgotten its
 * connection and be dropped as part of none. A cable takes both from it: it is new to the filter.
 */
static int limit_bridge(
	int fd, const struct netlink_link *bridge, const char *name, uint64_t rate, struct err *err)
{
	_cleanup_close_ int program = -1;
	struct netlink_batch batch;
	struct netlink_link near;
	struct netlink_link far;
	int r = make_detour(fd, bridge, name, &near, &far, err);

	if (r < 0)
		return r == -ENODEV ? err_sys(err, r, "find the queue of a rate limit") : r;
	program = net_tc_load_once(near.index, err);
	if (program < 0)
		return program;
	netlink_begin(&batch);
	net_tc_add_bucket(&batch, near.index, rate);
	net_tc_remove_hook(&batch, far.index);
	net_tc_add_hook(&batch, far.index);
	net_tc_add_redirect(&batch, far.index, bridge->index, true);
	/* The end that sends last: with its carrier there already, it sends at once. */
	netlink_add_up(&batch, far.index);
	netlink_add_up(&batch, near.index);
	net_tc_remove_hook(&batch, bridge->index);
	net_tc_add_hook(&batch, bridge->index);
	net_tc_add_program(&batch, bridge->index, program);
	return netlink_commit(fd, &batch, err);
}

/* The hook first, so that nothing is led to where nothing is any more. */
static int lift_out(int fd, const struct netlink_link *link, const char *name, struct err *err)
{
	struct netlink_batch batch;
	struct netlink_link queue;
	int r = netlink_find(fd, name, &queue, err);

	if (r < 0 && r != -ENODEV)
		return r;
	netlink_begin(&batch);
	net_tc_remove_hook(&batch, link->index);
	if (r == 0)
		netlink_add_delete(&batch, queue.index);
	return netlink_commit(fd, &batch, err);
}

static int interface_of(const struct net_plan *plan, uint32_t number, uint32_t slot,
	char ret[static NET_IFNAME_SIZE])
{
	struct net_network network;
	struct net_place place;
	int r = slot ? net_plan_place(plan, number, slot, &place)
		     : net_plan_network(plan, number, &network);

	if (r == 0)
		memcpy(ret, slot ? place.port : network.bridge, NET_IFNAME_SIZE);
	return r;
}

static bool is_rate(uint64_t rate)
{
	return rate == 0 || (rate >= NET_RATE_MIN && rate <= NET_RATE_MAX);
}

int net_shape_set(const struct net_plan *plan, uint32_t number, uint32_t slot,
	const struct net_rates *rates, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct netlink_batch batch;
	struct netlink_link link;
	char name[NET_IFNAME_SIZE];
	char queue[NET_IFNAME_SIZE];
	int r;

	if (!is_rate(rates->in) || !is_rate(rates->out) ||
		interface_of(plan, number, slot, name) < 0) {
		err_set(err, ERR_INVALID_ARGUMENT, "NET_RATE_INVALID",
			"a rate limit is %u to %" PRIu64 " bytes a second", NET_RATE_MIN,
			NET_RATE_MAX);
		return -ERANGE;
	}
	fd = netlink_open(err);
	if (fd < 0)
		return fd;
	r = netlink_find(fd, name, &link, err);
	if (r == -ENODEV)
		return err_sys(err, r, "limit the rate of a network");
	if (r < 0)
		return r;
	netlink_begin(&batch);
	net_tc_add_bucket(&batch, link.index, rates->in);
	r = netlink_commit(fd, &batch, err);
	if (r < 0)
		return r;
	beside(name, QUEUE, queue);
	if (!rates->out)
		return lift_out(fd, &link, queue, err);
	return slot ? limit_port(fd, &link, queue, rates->out, err)
		    : limit_bridge(fd, &link, queue, rates->out, err);
}

static int remove_queue(int fd, const char *name, struct err *err)
{
	struct netlink_batch batch;
	struct netlink_link link;
	int r = netlink_find(fd, name, &link, err);

	if (r < 0)
		return r == -ENODEV ? 0 : r;
	netlink_begin(&batch);
	netlink_add_delete(&batch, link.index);
	return netlink_commit(fd, &batch, err);
}

int net_shape_forget(const struct net_plan *plan, uint32_t number, uint32_t slot, struct err *err)
{
	char interface[NET_IFNAME_SIZE];
	_cleanup_close_ int fd = -1;
	char name[NET_IFNAME_SIZE];

	/* Of other pools than those in force: there is nothing of ours. */
	if (interface_of(plan, number, slot, interface) < 0)
		return 0;
	fd = netlink_open(err);
	if (fd < 0)
		return fd;
	beside(interface, QUEUE, name);
	return remove_queue(fd, name, err);
}

struct sweep {
	const struct net_plan *plan;
	char (*names)[NET_IFNAME_SIZE];
	size_t n;
	size_t capacity;
	int error;
};

/* Ours are the letters, a digit, and the letter at the end. */
static void collect(const struct netlink_link *link, void *arg)
{
	struct sweep *sweep = arg;
	size_t letters = strlen(sweep->plan->prefix_name);
	size_t len = strlen(link->name);

	if (len < letters + 2 || strncmp(link->name, sweep->plan->prefix_name, letters) != 0 ||
		strspn(link->name + letters, "0123456789-") != len - letters - 1 ||
		link->name[len - 1] != QUEUE)
		return;
	if (sweep->n == sweep->capacity) {
		size_t capacity = sweep->capacity ? 2 * sweep->capacity : 16;
		void *names = reallocarray(sweep->names, capacity, sizeof(*sweep->names));

		if (!names) {
			sweep->error = -ENOMEM;
			return;
		}
		sweep->names = names;
		sweep->capacity = capacity;
	}
	memcpy(sweep->names[sweep->n++], link->name, NET_IFNAME_SIZE);
}

static int remove_if_lone(int fd, const char *name, struct err *err)
{
	char interface[NET_IFNAME_SIZE];
	struct netlink_link link;
	int r;

	memcpy(interface, name, sizeof(interface));
	interface[strlen(interface) - 1] = '\0';
	r = netlink_find(fd, interface, &link, err);
	return r != -ENODEV ? r : remove_queue(fd, name, err);
}

int net_shape_sweep(const struct net_plan *plan, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct sweep sweep = {.plan = plan};
	int r;

	if (!net_plan_is_on(plan))
		return 0;
	fd = netlink_open(err);
	if (fd < 0)
		return fd;
	r = netlink_for_each(fd, "ifb", collect, &sweep, err);
	if (r == 0)
		r = netlink_for_each(fd, "veth", collect, &sweep, err);
	if (r == 0 && sweep.error)
		r = err_oom(err);
	for (size_t i = 0; i < sweep.n && r == 0; i++)
		r = remove_if_lone(fd, sweep.names[i], err);
	free(sweep.names);
	return r;
}
