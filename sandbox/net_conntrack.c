/*
 * Ending tracked connections; see net_conntrack.h. What the kernel sends of its table is compared
 * here, and deleted by its own tuple and id, so that nothing else can be meant. Must never delete
 * by address alone.
 * Source: linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c.
 */
#include "sandbox/net_conntrack.h"

#include "base/cleanup.h"

#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

#define BUFFER_SIZE 65536
#define FOUND_MAX   16384 /* of one look at the table */
#define ROUNDS_MAX  64
#define TUPLE_MAX   128 /* of a tuple's attributes; IPv6 with ports takes 72 */

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

/* One direction of a connection. */
struct tuple {
	const uint8_t *src;
	const uint8_t *dst;
	uint8_t protocol;
	uint16_t sport;
	uint16_t dport;
};

/* --- reading --- */

#define ATTR_MAX 32

struct attributes {
	const struct nlattr *list[ATTR_MAX];
};

static int note(const struct nlattr *attr, void *arg)
{
	struct attributes *attributes = arg;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < ATTR_MAX)
		attributes->list[type] = attr;
	return MNL_CB_OK;
}

static const void *payload(const struct attributes *a, uint16_t type, size_t size)
{
	const struct nlattr *attr = a->list[type];

	return attr && mnl_attr_get_payload_len(attr) == size ? mnl_attr_get_payload(attr) : NULL;
}

static uint16_t port_of(const struct attributes *a, uint16_t type)
{
	uint16_t value = 0;
	const void *bytes = payload(a, type, sizeof(value));

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return be16toh(value);
}

static bool read_tuple(const struct nlattr *nest, uint8_t family, struct tuple *ret)
{
	struct attributes tuple = {0}, ip = {0}, proto = {0};
	size_t size = family == AF_INET ? 4 : 16;
	const uint8_t *protocol;

	if (!nest || mnl_attr_parse_nested(nest, note, &tuple) < 0 || !tuple.list[CTA_TUPLE_IP] ||
		!tuple.list[CTA_TUPLE_PROTO] ||
		mnl_attr_parse_nested(tuple.list[CTA_TUPLE_IP], note, &ip) < 0 ||
		mnl_attr_parse_nested(tuple.list[CTA_TUPLE_PROTO], note, &proto) < 0)
		return false;
	ret->src = payload(&ip, family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, size);
	ret->dst = payload(&ip, family == AF_INET ? CTA_IP_V4_DST : CTA_IP_V6_DST, size);
	protocol = payload(&proto, CTA_PROTO_NUM, 1);
	if (!ret->src || !ret->dst || !protocol)
		return false;
	ret->protocol = *protocol;
	ret->sport = port_of(&proto, CTA_PROTO_SRC_PORT);
	ret->dport = port_of(&proto, CTA_PROTO_DST_PORT);
	return true;
}

/* From the port that was called to the one that answers. */
static bool is_forwarded(const struct net_forward *f, uint32_t status, const struct tuple *orig,
	const struct tuple *reply)
{
	if (!(status & IPS_DST_NAT) || orig->protocol != f->protocol || orig->dport < f->first ||
		orig->dport > f->last || reply->sport != f->to + (orig->dport - f->first))
		return false;
	return !f->listen.size || !memcmp(orig->dst, f->listen.bytes, f->listen.size);
}

static bool is_within(const struct net_address *network, const uint8_t *address)
{
	size_t whole = network->prefix / 8;
	uint8_t mask = (uint8_t)(0xff00u >> network->prefix % 8);

	return !memcmp(network->bytes, address, whole) &&
	       (!mask || !((network->bytes[whole] ^ address[whole]) & mask));
}

static bool is_wanted(const struct look *look, const struct attributes *a)
{
	struct tuple orig, reply;
	uint32_t status = 0;
	const void *bytes = payload(a, CTA_STATUS, sizeof(status));

	if (!read_tuple(a->list[CTA_TUPLE_ORIG], look->family, &orig) ||
		!read_tuple(a->list[CTA_TUPLE_REPLY], look->family, &reply))
		return false;
	if (bytes)
		memcpy(&status, bytes, sizeof(status));
	for (size_t i = 0; i < look->n_wanted; i++) {
		const struct wanted *w = &look->wanted[i];

		if (w->forward ? is_within(&w->address, reply.src) &&
					 is_forwarded(w->forward, be32toh(status), &orig, &reply)
			       : is_within(&w->address, orig.src) ||
					 is_within(&w->address, reply.src))
			return true;
	}
	return false;
}

static int take_message(const struct nlmsghdr *message, void *arg)
{
	struct look *look = arg;
	struct attributes a = {0};
	struct found *found;
	const void *zone;
	const void *id;
	size_t size;

	if (mnl_attr_parse(message, sizeof(struct nfgenmsg), note, &a) < 0 || !is_wanted(look, &a))
		return MNL_CB_OK;
	size = mnl_attr_get_payload_len(a.list[CTA_TUPLE_ORIG]);
	id = payload(&a, CTA_ID, sizeof(found->id));
	if (!id || size > TUPLE_MAX)
		return MNL_CB_OK;
	found = &look->found[look->n++];
	*found = (struct found){.tuple_size = (uint16_t)size};
	memcpy(found->tuple, mnl_attr_get_payload(a.list[CTA_TUPLE_ORIG]), size);
	memcpy(&found->id, id, sizeof(found->id));
	zone = payload(&a, CTA_ZONE, sizeof(found->zone));
	found->has_zone = zone;
	if (zone)
		memcpy(&found->zone, zone, sizeof(found->zone));
	return look->n < FOUND_MAX ? MNL_CB_OK : MNL_CB_STOP;
}

/* --- asking --- */

static struct nlmsghdr *begin(
	char *buffer, uint16_t type, uint16_t flags, unsigned seq, uint8_t family)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));

	header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = seq;
	*generic = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
	return header;
}

/* Takes answers until they end, or until there is no room for more. */
static int receive(struct mnl_socket *socket, unsigned seq, mnl_cb_t take, void *arg)
{
	_cleanup_free_ char *buffer = malloc(BUFFER_SIZE);
	unsigned port = mnl_socket_get_portid(socket);
	int r = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(socket, buffer, BUFFER_SIZE);

		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)n, seq, port, take, arg);
	}
	return r == MNL_CB_STOP ? 0 : -errno;
}

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
		return socket;
	mnl_socket_close(socket);
	return NULL;
}

/* A socket of its own: what is left of a dump that was broken off is of no use. */
static int find(struct look *look)
{
	struct mnl_socket *socket = open_socket();
	struct nlmsghdr *header;
	char buffer[64];
	int r = 0;

	if (!socket)
		return -errno;
	look->n = 0;
	header = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 1, look->family);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		r = -errno;
	if (r == 0)
		r = receive(socket, 1, take_message, look);
	mnl_socket_close(socket);
	return r;
}

/* One that has ended by itself meanwhile is as good. */
static int forget(
	struct mnl_socket *socket, uint8_t family, const struct found *found, unsigned seq)
{
	char buffer[512];
	struct nlmsghdr *header = begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq, family);
	int r;

	mnl_attr_put(header, NLA_F_NESTED | CTA_TUPLE_ORIG, found->tuple_size, found->tuple);
	mnl_attr_put(header, CTA_ID, sizeof(found->id), &found->id);
	if (found->has_zone)
		mnl_attr_put(header, CTA_ZONE, sizeof(found->zone), &found->zone);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -errno;
	r = receive(socket, seq, NULL, NULL);
	return r == -ENOENT ? 0 : r;
}

static int forget_all(const struct look *look)
{
	struct mnl_socket *socket = open_socket();
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
