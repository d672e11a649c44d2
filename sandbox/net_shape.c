/*
 * Token buckets on interfaces; see net_shape.h. Only interfaces whose names follow from the plan
 * are touched. Source: linux/pkt_sched.h, linux/pkt_cls.h, linux/tc_act/tc_mirred.h, tc-tbf(8).
 */
#include "sandbox/net_shape.h"

#include "base/cleanup.h"
#include "sandbox/netlink.h"

#include <endian.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <string.h>

/* A rate is of IP packets; the bucket counts Ethernet's 14 bytes too. */
#define FRAME_SIZE  1514u
#define PACKET_SIZE 1500u

/*
 * What may pass at once: as much as comes together while a busy host does something else. The
 * kernel's large segments go unsplit through quick lines only.
 */
#define BURST_MSEC 10u
#define BURST_MIN  32768u
#define BURST_MAX  (1u << 20)

/* What may wait: with less TCP loses so much at once that it falls behind. */
#define QUEUE_MSEC 200u
#define QUEUE_MIN  131072u
#define QUEUE_MAX  (16u << 20)

#define FILTER_PRIORITY 1u

static uint64_t clamp(uint64_t value, uint64_t min, uint64_t max)
{
	if (value < min)
		return min;
	return value > max ? max : value;
}

static struct tcmsg *put_tc(struct nlmsghdr *nlh, int index, uint32_t parent)
{
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));

	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = index;
	tc->tcm_parent = parent;
	return tc;
}

/* Makes or changes the bucket at an interface's end; 0: takes it away. */
static void add_bucket(struct netlink_batch *batch, int index, uint64_t rate)
{
	uint64_t frames = rate * FRAME_SIZE / PACKET_SIZE;
	uint32_t burst = (uint32_t)clamp(frames * BURST_MSEC / 1000, BURST_MIN, BURST_MAX);
	uint64_t queue = clamp(frames * QUEUE_MSEC / 1000, QUEUE_MIN, QUEUE_MAX);
	struct tc_tbf_qopt options = {
		.rate = {.linklayer = TC_LINKLAYER_ETHERNET,
			.rate = frames > UINT32_MAX ? UINT32_MAX : (uint32_t)frames},
		.limit = (uint32_t)queue + burst,
	};
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	if (rate == 0) {
		nlh = netlink_add(batch, RTM_DELQDISC, 0, "lift a rate limit", ENOENT);
		put_tc(nlh, index, TC_H_ROOT);
		return;
	}
	nlh = netlink_add(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, "set a rate limit", 0);
	put_tc(nlh, index, TC_H_ROOT);
	mnl_attr_put_strz(nlh, TCA_KIND, "tbf");
	nest = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put(nlh, TCA_TBF_PARMS, sizeof(options), &options);
	mnl_attr_put_u32(nlh, TCA_TBF_BURST, burst);
	if (frames > UINT32_MAX)
		mnl_attr_put_u64(nlh, TCA_TBF_RATE64, frames);
	mnl_attr_nest_end(nlh, nest);
}

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

static void add_hook(struct netlink_batch *batch, int index)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
		"watch what an interface receives", 0);

	put_tc(nlh, index, TC_H_CLSACT)->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(nlh, TCA_KIND, "clsact");
}

static void remove_hook(struct netlink_batch *batch, int index)
{
	struct nlmsghdr *nlh = netlink_add(
		batch, RTM_DELQDISC, 0, "lead an interface's traffic directly", ENOENT);

	/* Without its handle: with it, the answer is another error where there was one before. */
	put_tc(nlh, index, TC_H_CLSACT);
}

/* Leads everything that an interface receives to another one, from where it comes back. */
static void add_redirect(struct netlink_batch *batch, int from, int to)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
		"lead an interface's traffic through a queue", 0);
	struct tcmsg *tc = put_tc(nlh, from, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS));
	const struct tc_mirred mirred = {
		.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = (uint32_t)to};
	/* One key, which is all zero: no bit of a packet is compared, so any packet has it. */
	const struct tc_u32_sel sel = {.flags = TC_U32_TERMINAL, .nkeys = 1};
	uint8_t all[sizeof(sel) + sizeof(struct tc_u32_key)] = {0};
	struct nlattr *options;
	struct nlattr *actions;
	struct nlattr *action;
	struct nlattr *action_options;

	memcpy(all, &sel, sizeof(sel));
	tc->tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htobe16(ETH_P_ALL));
	mnl_attr_put_strz(nlh, TCA_KIND, "u32");
	options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put(nlh, TCA_U32_SEL, sizeof(all), all);
	actions = mnl_attr_nest_start(nlh, TCA_U32_ACT);
	action = mnl_attr_nest_start(nlh, 1);
	mnl_attr_put_strz(nlh, TCA_ACT_KIND, "mirred");
	action_options = mnl_attr_nest_start(nlh, TCA_ACT_OPTIONS);
	mnl_attr_put(nlh, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
	mnl_attr_nest_end(nlh, action_options);
	mnl_attr_nest_end(nlh, action);
	mnl_attr_nest_end(nlh, actions);
	mnl_attr_nest_end(nlh, options);
}

/* The letter cannot end a name of the plan's own: those end in digits, or in `d` and `u`. */
static void ifb_name(const char *interface, char ret[static NET_IFNAME_SIZE])
{
	snprintf(ret, NET_IFNAME_SIZE, "%.14so", interface);
}

static int limit_out(int fd, const struct netlink_link *link, uint64_t rate, struct err *err)
{
	struct netlink_batch batch;
	struct netlink_link ifb;
	char name[NET_IFNAME_SIZE];
	int r;

	ifb_name(link->name, name);
	netlink_begin(&batch);
	if (rate)
		add_ifb(&batch, name);
	r = netlink_commit(fd, &batch, err);
	if (r == 0)
		r = netlink_find(fd, name, &ifb, err);
	if (r == -ENODEV && !rate)
		return 0;
	if (r < 0)
		return r;
	/* The queue first, so that nothing passes it unlimited; the hook anew, since it may lead to
	 * an interface that was removed. */
	netlink_begin(&batch);
	if (rate)
		add_bucket(&batch, ifb.index, rate);
	remove_hook(&batch, link->index);
	if (rate) {
		add_hook(&batch, link->index);
		add_redirect(&batch, link->index, ifb.index);
	} else {
		netlink_add_delete(&batch, ifb.index);
	}
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
	add_bucket(&batch, link.index, rates->in);
	r = netlink_commit(fd, &batch, err);
	return r < 0 ? r : limit_out(fd, &link, rates->out, err);
}

struct sweep {
	const struct net_plan *plan;
	char (*names)[NET_IFNAME_SIZE];
	size_t n;
	size_t capacity;
	int error;
};

/* Ours are the letters, a digit, and the `o` at the end. */
static void collect(const struct netlink_link *link, void *arg)
{
	struct sweep *sweep = arg;
	size_t letters = strlen(sweep->plan->prefix_name);
	size_t len = strlen(link->name);

	if (len < letters + 2 || strncmp(link->name, sweep->plan->prefix_name, letters) != 0 ||
		strspn(link->name + letters, "0123456789-") != len - letters - 1 ||
		link->name[len - 1] != 'o')
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
	struct netlink_batch batch;
	struct netlink_link link;
	int r;

	memcpy(interface, name, sizeof(interface));
	interface[strlen(interface) - 1] = '\0';
	r = netlink_find(fd, interface, &link, err);
	if (r != -ENODEV)
		return r;
	r = netlink_find(fd, name, &link, err);
	if (r < 0)
		return r == -ENODEV ? 0 : r;
	netlink_begin(&batch);
	netlink_add_delete(&batch, link.index);
	return netlink_commit(fd, &batch, err);
}

int net_shape_sweep(const struct net_plan *plan, struct err *err)
{
	_cleanup_close_ int fd = netlink_open(err);
	struct sweep sweep = {.plan = plan};
	int r;

	if (fd < 0)
		return fd;
	r = netlink_for_each(fd, "ifb", collect, &sweep, err);
	if (r == 0 && sweep.error)
		r = err_oom(err);
	for (size_t i = 0; i < sweep.n && r == 0; i++)
		r = remove_if_lone(fd, sweep.names[i], err);
	free(sweep.names);
	return r;
}
