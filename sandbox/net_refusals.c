/*
 * Reading the filter's counters of refusals; see net_refusals.h. Must never reset them. Source:
 * linux/netfilter/nf_tables.h.
 */
#include "sandbox/net_refusals.h"

#include "base/cleanup.h"
#include "sandbox/net_rules.h"
#include "sandbox/nfnetlink.h"

#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 5

struct list {
	struct net_refusal *rows;
	size_t n;
};

struct object {
	const char *name;
	const struct nlattr *data;
};

static int take_attribute(const struct nlattr *attr, void *arg)
{
	struct object *object = arg;

	if (mnl_attr_get_type(attr) == NFTA_OBJ_NAME &&
		mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		object->name = mnl_attr_get_str(attr);
	if (mnl_attr_get_type(attr) == NFTA_OBJ_DATA)
		object->data = attr;
	return MNL_CB_OK;
}

static int take_packets(const struct nlattr *attr, void *arg)
{
	if (mnl_attr_get_type(attr) == NFTA_COUNTER_PACKETS &&
		mnl_attr_get_payload_len(attr) == sizeof(uint64_t))
		*(uint64_t *)arg = be64toh(mnl_attr_get_u64(attr));
	return MNL_CB_OK;
}

static int take_message(const struct nlmsghdr *message, void *arg)
{
	struct list *list = arg;
	struct object object = {0};
	struct net_refusal refusal;
	struct net_refusal *grown;

	if (mnl_attr_parse(message, sizeof(struct nfgenmsg), take_attribute, &object) < 0 ||
		!object.name || !object.data || net_refusal_parse(object.name, &refusal) < 0)
		return MNL_CB_OK;
	mnl_attr_parse_nested(object.data, take_packets, &refusal.packets);
	if (!refusal.packets)
		return MNL_CB_OK;
	grown = reallocarray(list->rows, list->n + 1, sizeof(*grown));
	if (!grown) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	list->rows = grown;
	grown[list->n++] = refusal;
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *socket, const char *table, uint8_t family)
{
	char buffer[1024];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *extra = mnl_nlmsg_put_extra_header(header, sizeof(*extra));

	header->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = family;
	*extra = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
	mnl_attr_put_strz(header, NFTA_OBJ_TABLE, table);
	mnl_attr_put_u32(header, NFTA_OBJ_TYPE, htobe32(NFT_OBJECT_COUNTER));
	return mnl_socket_sendto(socket, header, header->nlmsg_len) < 0 ? -errno : 0;
}

/* Returns 0, -EINTR when the tables changed meanwhile, or -errno. */
static int dump(struct mnl_socket *socket, const char *table, uint8_t family, struct list *list)
{
	int r = ask(socket, table, family);

	if (r == 0)
		r = nfnetlink_receive(socket, family, take_message, list);
	/* No table: nothing was refused yet. */
	return r == -ENOENT ? 0 : r;
}

/* What a dump that changed under it has said is said again. */
static int read_family(const char *table, uint8_t family, struct list *list)
{
	size_t before = list->n;
	int r = -EINTR;

	for (int i = 0; i < ATTEMPTS_MAX && r == -EINTR; i++) {
		struct mnl_socket *socket = nfnetlink_open();

		if (!socket)
			return -errno;
		list->n = before;
		r = dump(socket, table, family, list);
		mnl_socket_close(socket);
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	return net_refusal_compare(a, b);
}

int net_refusals_read(
	const struct net_plan *plan, struct net_refusal **ret, size_t *ret_n, struct err *err)
{
	struct list list = {0};
	char table[NET_TABLE_SIZE];
	int r;

	net_rules_table(plan, 0, table);
	r = read_family(table, NFPROTO_BRIDGE, &list);
	if (r == 0)
		r = read_family(table, NFPROTO_INET, &list);
	if (r < 0) {
		free(list.rows);
		return err_sys(err, r, "read what the packet filter refused");
	}
	if (list.n)
		qsort(list.rows, list.n, sizeof(*list.rows), compare);
	*ret = list.rows;
	*ret_n = list.n;
	return 0;
}
