/*
 * Reading the table of tracked connections; see net_flows.h. Must never trust that an attribute is
 * there, or as long as it should be.
 * Source: linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c.
 */
#include "sandbox/net_flows.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

struct walk {
	uint8_t family;
	int (*fn)(const struct net_flow *flow, void *arg);
	void *arg;
};

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

static bool read_tuple(const struct nlattr *nest, uint8_t family, struct net_tuple *ret)
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

static bool read_bytes(const struct nlattr *nest, uint64_t *ret)
{
	struct attributes counters = {0};
	const void *bytes;

	if (!nest || mnl_attr_parse_nested(nest, note, &counters) < 0)
		return false;
	bytes = payload(&counters, CTA_COUNTERS_BYTES, sizeof(*ret));
	if (bytes) {
		memcpy(ret, bytes, sizeof(*ret));
		*ret = be64toh(*ret);
	}
	return bytes;
}

static int take_message(const struct nlmsghdr *message, void *arg)
{
	struct walk *walk = arg;
	struct attributes a = {0};
	struct net_flow flow = {0};
	const void *status;

	if (mnl_attr_parse(message, sizeof(struct nfgenmsg), note, &a) < 0 ||
		!read_tuple(a.list[CTA_TUPLE_ORIG], walk->family, &flow.orig) ||
		!read_tuple(a.list[CTA_TUPLE_REPLY], walk->family, &flow.reply))
		return MNL_CB_OK;
	status = payload(&a, CTA_STATUS, sizeof(flow.status));
	if (status) {
		memcpy(&flow.status, status, sizeof(flow.status));
		flow.status = be32toh(flow.status);
	}
	flow.counted = read_bytes(a.list[CTA_COUNTERS_ORIG], &flow.sent) &&
		       read_bytes(a.list[CTA_COUNTERS_REPLY], &flow.received);
	flow.orig_attr = a.list[CTA_TUPLE_ORIG];
	flow.id_attr = a.list[CTA_ID];
	flow.zone_attr = a.list[CTA_ZONE];
	return walk->fn(&flow, walk->arg);
}

struct nlmsghdr *net_flows_begin(
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

int net_flows_each(uint8_t family, int (*fn)(const struct net_flow *flow, void *arg), void *arg)
{
	struct walk walk = {.family = family, .fn = fn, .arg = arg};
	struct mnl_socket *socket = nfnetlink_open();
	struct nlmsghdr *header;
	char buffer[64];
	int r = 0;

	if (!socket)
		return -errno;
	header = net_flows_begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 1, family);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		r = -errno;
	if (r == 0)
		r = nfnetlink_receive(socket, 1, take_message, &walk);
	mnl_socket_close(socket);
	return r;
}
