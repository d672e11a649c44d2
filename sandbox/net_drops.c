/*
 * Reading the drops of rate limits; see net_drops.h. One question for all buckets of the host, and
 * another for the name of each that has ever dropped. Must never change one. Source: rtnetlink(7),
 * linux/gen_stats.h.
 */
#include "sandbox/net_drops.h"

#include "base/cleanup.h"
#include "sandbox/net_shape.h"
#include "sandbox/netlink.h"

#include <errno.h>
#include <linux/gen_stats.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct look {
	const struct net_plan *plan;
	struct net_refusal **rows;
	size_t *n;
};

struct bucket {
	bool is_bucket;
	uint64_t drops;
};

static int take_stats(const struct nlattr *attr, void *arg)
{
	struct bucket *bucket = arg;
	struct gnet_stats_queue queue;

	if (mnl_attr_get_type(attr) != TCA_STATS_QUEUE ||
		mnl_attr_get_payload_len(attr) < sizeof(queue))
		return MNL_CB_OK;
	memcpy(&queue, mnl_attr_get_payload(attr), sizeof(queue));
	bucket->drops = queue.drops;
	return MNL_CB_OK;
}

static int take_attribute(const struct nlattr *attr, void *arg)
{
	struct bucket *bucket = arg;

	if (mnl_attr_get_type(attr) == TCA_KIND &&
		mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		bucket->is_bucket = !strcmp(mnl_attr_get_str(attr), "tbf");
	if (mnl_attr_get_type(attr) == TCA_STATS2)
		mnl_attr_parse_nested(attr, take_stats, bucket);
	return MNL_CB_OK;
}

/* Letters, the network's number, and behind a `-` the slot; an `o` for what is sent. */
int net_drops_owner(const struct net_plan *plan, const char *interface, struct net_refusal *ret)
{
	struct net_refusal owner = {.reason = NET_DROPPED_IN};
	size_t letters = strlen(plan->prefix_name);
	struct net_network network;
	struct net_place place;
	char own[NET_IFNAME_SIZE];
	size_t len = strlen(interface);
	int scanned;

	if (len < letters + 1 || len >= sizeof(own) ||
		memcmp(interface, plan->prefix_name, letters))
		return -ENOENT;
	memcpy(own, interface, len + 1);
	if (own[len - 1] == NET_SHAPE_QUEUE) {
		own[len - 1] = '\0';
		owner.reason = NET_DROPPED_OUT;
	}
	scanned = sscanf(own + letters, "%5u-%4u", &owner.network, &owner.slot);
	/* The name that they have is this one, and no other that begins like it. */
	if (scanned == 2 && net_plan_place(plan, owner.network, owner.slot, &place) == 0 &&
		!strcmp(place.port, own))
		*ret = owner;
	else if (scanned == 1 && net_plan_network(plan, owner.network, &network) == 0 &&
		 !strcmp(network.bridge, own))
		*ret = owner;
	else
		return -ENOENT;
	return 0;
}

static int take_message(const struct nlmsghdr *message, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(message);
	struct look *look = arg;
	struct bucket bucket = {0};
	struct net_refusal row;
	struct net_refusal *grown;
	char name[IF_NAMESIZE];

	if (message->nlmsg_type != RTM_NEWQDISC ||
		mnl_attr_parse(message, sizeof(*tc), take_attribute, &bucket) < 0 ||
		!bucket.is_bucket || !bucket.drops ||
		/* One that has gone meanwhile has no name any more. */
		!if_indextoname((unsigned)tc->tcm_ifindex, name) ||
		net_drops_owner(look->plan, name, &row) < 0)
		return MNL_CB_OK;
	grown = reallocarray(*look->rows, *look->n + 1, sizeof(*grown));
	if (!grown) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	row.packets = bucket.drops;
	*look->rows = grown;
	grown[(*look->n)++] = row;
	return MNL_CB_OK;
}

static int receive(int fd, struct look *look)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[32768];
	int r = MNL_CB_OK;

	while (r > MNL_CB_STOP) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, 0, 0, take_message, look);
	}
	return r < 0 ? -errno : 0;
}

static int compare(const void *a, const void *b)
{
	return net_refusal_compare(a, b);
}

int net_drops_add(
	const struct net_plan *plan, struct net_refusal **rows, size_t *n, struct err *err)
{
	struct look look = {.plan = plan, .rows = rows, .n = n};
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[128];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(header, sizeof(*tc));
	_cleanup_close_ int fd = netlink_open(err);
	size_t before = *n;
	int r;

	if (fd < 0)
		return fd;
	header->nlmsg_type = RTM_GETQDISC;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc->tcm_family = AF_UNSPEC;
	r = send(fd, header, header->nlmsg_len, 0) == (ssize_t)header->nlmsg_len
		    ? receive(fd, &look)
		    : -errno;
	if (r < 0)
		return err_sys(err, r, "read what rate limits dropped");
	if (*n > before)
		qsort(*rows + before, *n - before, sizeof(**rows), compare);
	return 0;
}
