/*
 * Reading the counters; see net_usage.h. A dump of each set, or one element of each, in the
 * kernel's own form; must never change anything. Source: linux/netfilter/nf_tables.h.
 */
#include "sandbox/net_usage.h"

#include "base/cleanup.h"
#include "sandbox/net_rules.h"
#include "sandbox/nfnetlink.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <string.h>

#define KEY_SIZE     sizeof(((struct net_usage_key *)0)->first)
#define ATTEMPTS_MAX 5

struct entry {
	struct net_usage_key key;
	struct net_traffic traffic;
};

struct entries {
	struct entry *list; /* sorted by the first part of the key */
	size_t n;
	size_t capacity;
};

struct net_usage_table {
	struct entries sets[NET_USAGE_SET_N];
};

static const struct {
	const char *name;
	const char *family_name;
	uint8_t family;
} sets[NET_USAGE_SET_N] = {
	[NET_USAGE_ALL_OUT] = {"all_out", "bridge", NFPROTO_BRIDGE},
	[NET_USAGE_ALL_IN] = {"all_in", "bridge", NFPROTO_BRIDGE},
	[NET_USAGE_OUT4] = {"out4", "inet", NFPROTO_INET},
	[NET_USAGE_IN4] = {"in4", "inet", NFPROTO_INET},
	[NET_USAGE_OUT6] = {"out6", "inet", NFPROTO_INET},
	[NET_USAGE_IN6] = {"in6", "inet", NFPROTO_INET},
	[NET_USAGE_TO_OWN] = {"to_own", "bridge", NFPROTO_BRIDGE},
};

const char *net_usage_set_name(enum net_usage_set set)
{
	return sets[set].name;
}

const char *net_usage_set_family(enum net_usage_set set)
{
	return sets[set].family_name;
}

static struct entry *append(struct entries *entries)
{
	if (entries->n == entries->capacity) {
		size_t capacity = entries->capacity ? 2 * entries->capacity : 64;
		struct entry *list = reallocarray(entries->list, capacity, sizeof(*list));

		if (!list)
			return NULL;
		entries->list = list;
		entries->capacity = capacity;
	}
	entries->list[entries->n] = (struct entry){0};
	return &entries->list[entries->n++];
}

struct key {
	const void *bytes;
	uint16_t size; /* 0: there is none */
};

static void put_key(struct nlmsghdr *header, const struct key *key)
{
	struct nlattr *list = mnl_attr_nest_start(header, NFTA_SET_ELEM_LIST_ELEMENTS);
	struct nlattr *element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
	struct nlattr *nest = mnl_attr_nest_start(header, NFTA_SET_ELEM_KEY);

	mnl_attr_put(header, NFTA_DATA_VALUE, key->size, key->bytes);
	mnl_attr_nest_end(header, nest);
	mnl_attr_nest_end(header, element);
	mnl_attr_nest_end(header, list);
}

struct search {
	uint16_t type;
	const struct nlattr *found;
};

static int match(const struct nlattr *attr, void *arg)
{
	struct search *search = arg;

	if (mnl_attr_get_type(attr) != search->type)
		return MNL_CB_OK;
	search->found = attr;
	return MNL_CB_STOP;
}

/* The attribute of this type within a nest, or NULL. */
static const struct nlattr *find(const struct nlattr *nest, uint16_t type)
{
	struct search search = {.type = type};

	if (nest)
		mnl_attr_parse_nested(nest, match, &search);
	return search.found;
}

static uint64_t number(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr = find(nest, type);

	if (!attr || mnl_attr_get_payload_len(attr) != sizeof(uint64_t))
		return 0;
	return be64toh(mnl_attr_get_u64(attr));
}

/* An element has its expression directly, or one in a list of them. */
static const struct nlattr *counter_of(const struct nlattr *element)
{
	const struct nlattr *expr = find(element, NFTA_SET_ELEM_EXPR);
	const struct nlattr *name;

	if (!expr)
		expr = find(find(element, NFTA_SET_ELEM_EXPRESSIONS), NFTA_LIST_ELEM);
	name = find(expr, NFTA_EXPR_NAME);
	if (!name || strcmp(mnl_attr_get_str(name), "counter") != 0)
		return NULL;
	return find(expr, NFTA_EXPR_DATA);
}

/* The parts of a key of several follow one another, each filled up to four bytes. */
static void take_key(const struct nlattr *attr, struct net_usage_key *key)
{
	const uint8_t *bytes = mnl_attr_get_payload(attr);
	size_t size = mnl_attr_get_payload_len(attr);

	memcpy(key->first, bytes, size < KEY_SIZE ? size : KEY_SIZE);
	if (size >= KEY_SIZE + sizeof(key->mac))
		memcpy(key->mac, bytes + KEY_SIZE, sizeof(key->mac));
}

static int take_element(const struct nlattr *element, void *arg)
{
	const struct nlattr *key = find(find(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	const struct nlattr *counter = counter_of(element);
	struct entry *entry;

	if (!key || !counter)
		return MNL_CB_OK;
	entry = append(arg);
	if (!entry) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	take_key(key, &entry->key);
	entry->traffic.bytes = number(counter, NFTA_COUNTER_BYTES);
	entry->traffic.packets = number(counter, NFTA_COUNTER_PACKETS);
	return MNL_CB_OK;
}

static int take_attribute(const struct nlattr *attr, void *arg)
{
	if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
		return MNL_CB_OK;
	return mnl_attr_parse_nested(attr, take_element, arg);
}

static int take_message(const struct nlmsghdr *message, void *arg)
{
	return mnl_attr_parse(message, sizeof(struct nfgenmsg), take_attribute, arg);
}

/* With a key for that element alone, and with NULL for all of a set. */
static int ask(struct mnl_socket *socket, const char *table, enum net_usage_set set, unsigned seq,
	const struct key *key)
{
	char buffer[1024];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *family = mnl_nlmsg_put_extra_header(header, sizeof(*family));

	header->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (key ? NLM_F_ACK : NLM_F_DUMP));
	header->nlmsg_seq = seq;
	*family = (struct nfgenmsg){.nfgen_family = sets[set].family, .version = NFNETLINK_V0};
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, sets[set].name);
	if (key)
		put_key(header, key);
	return mnl_socket_sendto(socket, header, header->nlmsg_len) < 0 ? -errno : 0;
}

/* Returns 0, -EINTR when the tables changed meanwhile, or -errno. */
static int dump(struct mnl_socket *socket, const char *table, enum net_usage_set set,
	struct entries *entries)
{
	unsigned seq = (unsigned)set + 1;
	int r;

	entries->n = 0;
	r = ask(socket, table, set, seq, NULL);
	if (r == 0)
		r = nfnetlink_receive(socket, seq, take_message, entries);
	/* No table or no set: nothing was counted yet. */
	return r == -ENOENT ? 0 : r;
}

static int read_set(const char *table, enum net_usage_set set, struct entries *entries)
{
	int r = -EINTR;

	for (int i = 0; i < ATTEMPTS_MAX && r == -EINTR; i++) {
		struct mnl_socket *socket = nfnetlink_open();

		if (!socket)
			return -errno;
		r = dump(socket, table, set, entries);
		mnl_socket_close(socket);
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, KEY_SIZE);
}

int net_usage_read(const struct net_plan *plan, struct net_usage_table **ret, struct err *err)
{
	struct net_usage_table *table = calloc(1, sizeof(*table));
	char name[NET_TABLE_SIZE];

	if (!table)
		return err_oom(err);
	net_rules_table(plan, 1, name);
	for (int set = 0; set < NET_USAGE_SET_N; set++) {
		struct entries *entries = &table->sets[set];
		int r = read_set(name, (enum net_usage_set)set, entries);

		if (r < 0) {
			net_usage_destroy(table);
			return err_sys(err, r, "read the counters of the network");
		}
		if (entries->n)
			qsort(entries->list, entries->n, sizeof(*entries->list), compare);
	}
	*ret = table;
	return 0;
}

void net_usage_destroy(struct net_usage_table *table)
{
	if (!table)
		return;
	for (int set = 0; set < NET_USAGE_SET_N; set++)
		free(table->sets[set].list);
	free(table);
}

static struct net_traffic look_up(
	const struct net_usage_table *table, enum net_usage_set set, const void *key)
{
	const struct entries *entries = &table->sets[set];
	const struct entry *found = NULL;

	if (entries->n)
		found = bsearch(key, entries->list, entries->n, sizeof(*entries->list), compare);
	return found ? found->traffic : (struct net_traffic){0};
}

static void add(struct net_traffic *to, struct net_traffic more)
{
	to->bytes += more.bytes;
	to->packets += more.packets;
}

void net_usage_of(
	const struct net_usage_table *table, const struct net_place *place, struct net_usage *ret)
{
	struct net_usage usage = {
		.all_in = look_up(table, NET_USAGE_ALL_IN, place->port),
		.all_out = look_up(table, NET_USAGE_ALL_OUT, place->port),
	};

	if (place->ipv4.size) {
		add(&usage.outside_in, look_up(table, NET_USAGE_IN4, place->ipv4.bytes));
		add(&usage.outside_out, look_up(table, NET_USAGE_OUT4, place->ipv4.bytes));
	}
	if (place->ipv6.size) {
		add(&usage.outside_in, look_up(table, NET_USAGE_IN6, place->ipv6.bytes));
		add(&usage.outside_out, look_up(table, NET_USAGE_OUT6, place->ipv6.bytes));
	}
	*ret = usage;
}

struct net_source net_source_of(const struct net_plan *plan, const struct net_place *place)
{
	struct net_source source = {.place = *place};

	memcpy(source.prefix_name, plan->prefix_name, sizeof(plan->prefix_name));
	return source;
}

static int read_one(struct mnl_socket *socket, const char *table, enum net_usage_set set,
	const struct key *key, struct net_traffic *traffic)
{
	unsigned seq = (unsigned)set + 1;
	struct entries entries = {0};
	int r;

	if (!key->size)
		return 0;
	r = ask(socket, table, set, seq, key);
	if (r == 0)
		r = nfnetlink_receive(socket, seq, take_message, &entries);
	if (r == 0 && entries.n)
		add(traffic, entries.list[0].traffic);
	free(entries.list);
	return r == -ENOENT ? 0 : r;
}

int net_usage_read_one(const struct net_source *source, struct net_usage *ret, struct err *err)
{
	const struct net_place *place = &source->place;
	const struct key port = {place->port, NET_IFNAME_SIZE};
	const struct key ipv4 = {place->ipv4.bytes, place->ipv4.size};
	const struct key ipv6 = {place->ipv6.bytes, place->ipv6.size};
	struct net_plan plan = {0};
	struct net_usage usage = {0};
	struct mnl_socket *socket = nfnetlink_open();
	char table[NET_TABLE_SIZE];
	int r;

	if (!socket)
		return err_sys(err, errno, "read the counters of the network");
	memcpy(plan.prefix_name, source->prefix_name, sizeof(plan.prefix_name));
	net_rules_table(&plan, 1, table);
	r = read_one(socket, table, NET_USAGE_ALL_IN, &port, &usage.all_in);
	if (r == 0)
		r = read_one(socket, table, NET_USAGE_ALL_OUT, &port, &usage.all_out);
	if (r == 0)
		r = read_one(socket, table, NET_USAGE_IN4, &ipv4, &usage.outside_in);
	if (r == 0)
		r = read_one(socket, table, NET_USAGE_OUT4, &ipv4, &usage.outside_out);
	if (r == 0)
		r = read_one(socket, table, NET_USAGE_IN6, &ipv6, &usage.outside_in);
	if (r == 0)
		r = read_one(socket, table, NET_USAGE_OUT6, &ipv6, &usage.outside_out);
	mnl_socket_close(socket);
	if (r < 0)
		return err_sys(err, r, "read the counters of the network");
	*ret = usage;
	return 0;
}

void net_usage_for_each(const struct net_usage_table *table,
	void (*fn)(enum net_usage_set set, const struct net_usage_key *key, void *arg), void *arg)
{
	for (int set = 0; set < NET_USAGE_SET_N; set++)
		for (size_t i = 0; i < table->sets[set].n; i++)
			fn((enum net_usage_set)set, &table->sets[set].list[i].key, arg);
}

int net_usage_own_packets(const struct net_plan *plan,
	void (*fn)(const char *port, uint64_t packets, void *arg), void *arg, struct err *err)
{
	struct entries entries = {0};
	char name[NET_TABLE_SIZE];
	char port[KEY_SIZE + 1] = "";
	int r;

	net_rules_table(plan, 1, name);
	r = read_set(name, NET_USAGE_TO_OWN, &entries);
	if (r == 0 && entries.n)
		qsort(entries.list, entries.n, sizeof(*entries.list), compare);
	for (size_t i = 0; r == 0 && i < entries.n; i++) {
		memcpy(port, entries.list[i].key.first, KEY_SIZE);
		fn(port, entries.list[i].traffic.packets, arg);
	}
	free(entries.list);
	return r < 0 ? err_sys(err, r, "read the counters of the network") : 0;
}
