/*
 * Ending tracked connections; see net_conntrack.h. What the kernel sends of its table is compared
 * here, and deleted by its own tuple and id, so that nothing else can be meant. Must never delete
 * by address alone.
 */
#include "sandbox/net_conntrack.h"

#include "base/cleanup.h"
#include "sandbox/net_flows.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

#define FOUND_MAX  16384 /* of one look at the table */
#define ROUNDS_MAX 64
#define TUPLE_MAX  128 /* of a tuple's attributes; IPv6 with ports takes 72 */

/* What is looked for: all of a network, or what a forward has led to an address. */
struct wanted {
	struct net_address address; /* prefix: how much of it counts */
	const struct net_forward *forward;
};

struct found {
	uint8_t tuple[TUPLE_MAX];
	uint16_t tuple_size;
	bool has_zone;
	uint16_t zone; /* as it came: network order */
	uint32_t id;   /* likewise */
};

struct look {
	uint8_t family; /* AF_INET or AF_INET6 */
	struct wanted *wanted;
	size_t n_wanted;
	struct found *found; /* FOUND_MAX */
	size_t n;
};

/* --- looking --- */

/* From the port that was called to the one that answers. */
static bool is_forwarded(const struct net_forward *f, uint32_t status, const struct net_tuple *orig,
	const struct net_tuple *reply)
{
	if (!(status & IPS_DST_NAT) || orig->protocol != f->protocol || orig->dport < f->first ||
		orig->dport > f->last || reply->sport != f->to + (orig->dport - f->first))
		return false;
	return !f->listen.size || !memcmp(orig->dst, f->listen.bytes, f->listen.size);
}

static bool is_wanted(const struct look *look, const struct net_flow *flow)
{
	for (size_t i = 0; i < look->n_wanted; i++) {
		const struct wanted *w = &look->wanted[i];

		if (w->forward ? net_address_holds(&w->address, flow->reply.src) &&
					 is_forwarded(w->forward, flow->status, &flow->orig,
						 &flow->reply)
			       : net_address_holds(&w->address, flow->orig.src) ||
					 net_address_holds(&w->address, flow->reply.src))
			return true;
	}
	return false;
}

static bool copy_payload(const struct nlattr *attr, void *ret, size_t size)
{
	if (!attr || mnl_attr_get_payload_len(attr) != size)
		return false;
	memcpy(ret, mnl_attr_get_payload(attr), size);
	return true;
}

static int take_flow(const struct net_flow *flow, void *arg)
{
	struct look *look = arg;
	struct found *found = &look->found[look->n];
	size_t size = mnl_attr_get_payload_len(flow->orig_attr);

	if (!is_wanted(look, flow) || size > TUPLE_MAX)
		return MNL_CB_OK;
	*found = (struct found){.tuple_size = (uint16_t)size};
	if (!copy_payload(flow->id_attr, &found->id, sizeof(found->id)))
		return MNL_CB_OK;
	memcpy(found->tuple, mnl_attr_get_payload(flow->orig_attr), size);
	found->has_zone = copy_payload(flow->zone_attr, &found->zone, sizeof(found->zone));
	return ++look->n < FOUND_MAX ? MNL_CB_OK : MNL_CB_STOP;
}

/* --- asking --- */

static int find(struct look *look)
{
	look->n = 0;
	return net_flows_each(look->family, take_flow, look);
}

/* One that has ended by itself meanwhile is as good. */
static int forget(
	struct mnl_socket *socket, uint8_t family, const struct found *found, unsigned seq)
{
	char buffer[512];
	struct nlmsghdr *header = net_flows_begin(
		buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq, family);
	int r;

	mnl_attr_put(header, NLA_F_NESTED | CTA_TUPLE_ORIG, found->tuple_size, found->tuple);
	mnl_attr_put(header, CTA_ID, sizeof(found->id), &found->id);
	if (found->has_zone)
		mnl_attr_put(header, CTA_ZONE, sizeof(found->zone), &found->zone);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -errno;
	r = nfnetlink_receive(socket, seq, NULL, NULL);
	return r == -ENOENT ? 0 : r;
}

static int forget_all(const struct look *look)
{
	struct mnl_socket *socket = nfnetlink_open();
	int r = 0;

	if (!socket)
		return -errno;
	for (size_t i = 0; i < look->n && r == 0; i++)
		r = forget(socket, look->family, &look->found[i], (unsigned)i + 1);
	mnl_socket_close(socket);
	return r;
}

/* Twice at least where there was one: a packet may have been on its way past the old rules. */
static int cut(struct look *look)
{
	int r = 0;

	for (int i = 0; i < ROUNDS_MAX && look->n_wanted; i++) {
		r = find(look);
		if (r == 0 && look->n)
			r = forget_all(look);
		if (r < 0 || !look->n || (i > 0 && look->n < FOUND_MAX))
			break;
	}
	return r;
}

static void want(struct look *look, const struct net_address *address, unsigned prefix,
	const struct net_forward *forward)
{
	struct wanted *w = &look->wanted[look->n_wanted];

	if (!address->size)
		return;
	*w = (struct wanted){.address = *address, .forward = forward};
	w->address.prefix = (uint8_t)prefix;
	look->n_wanted++;
}

static void want_row(struct look *look, const struct net_plan *plan, const struct net_row *row)
{
	bool is_v4 = look->family == AF_INET;
	struct net_network network;
	struct net_place place;

	if (row->kind == NET_TENANT && net_plan_network(plan, row->tenant, &network) == 0)
		want(look, is_v4 ? &network.ipv4 : &network.ipv6,
			is_v4 ? network.ipv4.prefix : network.ipv6.prefix, NULL);
	if (row->kind == NET_FORWARD && row->u.forward.family == (is_v4 ? 4 : 6) &&
		net_plan_place(plan, row->tenant, row->slot, &place) == 0)
		want(look, is_v4 ? &place.ipv4 : &place.ipv6, is_v4 ? 32 : 128, &row->u.forward);
}

int net_conntrack_cut(const struct net_rules *rules, struct err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	_cleanup_free_ struct wanted *wanted = calloc(rules->header.n_rows + 1u, sizeof(*wanted));
	_cleanup_free_ struct found *found = calloc(FOUND_MAX, sizeof(*found));
	int r = 0;

	if (!wanted || !found)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		struct look look = {.family = families[i], .wanted = wanted, .found = found};

		for (uint32_t row = 0; row < rules->header.n_rows; row++)
			want_row(&look, &rules->header.plan, &rules->rows[row]);
		r = cut(&look);
	}
	return r < 0 ? err_sys(err, r, "end the connections of what was removed") : 0;
}
