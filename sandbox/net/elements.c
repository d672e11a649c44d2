/*
 * The sets and maps that the rules look things up in, and their elements: one row a set. A
 * container is some elements here, never a rule. Writes numbers, and names made from numbers.
 */
#include "sandbox/net/elements.h"

#include "base/cleanup.h"
#include "sandbox/net_usage.h"

#include <inttypes.h>
#include <string.h>

/* One command under way: "add element inet t set { a, b }". */
struct elements {
	FILE *out;
	const char *start; /* of the command, written before the first element */
	unsigned n;
	const struct net_plan *plan;
	const struct net_row *row;
	struct net_network network;
	struct net_place place; /* of a container or forward */
};

static void begin(struct elements *e)
{
	fputs(e->n++ ? ", " : e->start, e->out);
}

/*
 * The tenant's bridges beyond the first, also those it may yet get: where br_netfilter is on, what
 * a bridge passes on comes by here under that bridge's name. Nothing is routed but by the first.
 */
static void put_shard_names(struct elements *e, void (*put)(struct elements *e, const char *name))
{
	struct net_shard shard;

	for (uint32_t i = 1; net_plan_shard(e->plan, e->row->tenant, i, &shard) == 0; i++)
		put(e, shard.bridge);
}

static void put_name(struct elements *e, const char *name)
{
	begin(e);
	fprintf(e->out, "\"%s\"", name);
}

static void put_name_twice(struct elements *e, const char *name)
{
	begin(e);
	fprintf(e->out, "\"%s\" . \"%s\"", name, name);
}

static void put_bridge(struct elements *e)
{
	put_name(e, e->network.bridge);
	put_shard_names(e, put_name);
}

static void put_neighbours(struct elements *e)
{
	put_name_twice(e, e->network.bridge);
	put_shard_names(e, put_name_twice);
}

static void put_shards(struct elements *e)
{
	put_shard_names(e, put_name);
}

static void put_caps(struct elements *e)
{
	begin(e);
	fprintf(e->out, "\"%s\" : jump t%" PRIu32, e->network.bridge, e->row->tenant);
}

static void put_smtp(struct elements *e)
{
	begin(e);
	fprintf(e->out, "\"%s\" : jump t%" PRIu32 "_smtp", e->network.bridge, e->row->tenant);
}

static void put_opened(struct elements *e)
{
	begin(e);
	fprintf(e->out, "\"%s\" : t%" PRIu32 "_opened", e->network.bridge, e->row->tenant);
}

static void put_opened_smtp(struct elements *e)
{
	begin(e);
	fprintf(e->out, "\"%s\" : t%" PRIu32 "_opened_smtp", e->network.bridge, e->row->tenant);
}

static void put_port(struct elements *e)
{
	begin(e);
	fprintf(e->out, "\"%s\"", e->place.port);
}

static void put_port_chain(struct elements *e)
{
	begin(e);
	fprintf(e->out, "\"%s\" : jump t%" PRIu32, e->place.port, e->row->tenant);
}

static void put_trunks(struct elements *e)
{
	struct net_shard shard;

	if (e->place.shard == 0 ||
		net_plan_shard(e->plan, e->row->tenant, e->place.shard, &shard) < 0)
		return;
	begin(e);
	fprintf(e->out, "\"%s\", \"%s\"", shard.up, shard.down);
}

static void put_mac(struct elements *e)
{
	const uint8_t *m = e->place.mac;

	begin(e);
	fprintf(e->out, "\"%s\" . %02x:%02x:%02x:%02x:%02x:%02x", e->place.port, m[0], m[1], m[2],
		m[3], m[4], m[5]);
}

/* The same as a number: what a payload's bytes are compared with. */
static void put_mac_number(struct elements *e)
{
	const uint8_t *m = e->place.mac;

	begin(e);
	fprintf(e->out, "\"%s\" . 0x%02x%02x%02x%02x%02x%02x", e->place.port, m[0], m[1], m[2],
		m[3], m[4], m[5]);
}

static void put_arp(struct elements *e)
{
	const uint8_t *m = e->place.mac;
	char text[NET_TEXT_MAX];

	if (!e->place.ipv4.size)
		return;
	begin(e);
	fprintf(e->out, "\"%s\" . %02x:%02x:%02x:%02x:%02x:%02x . %s", e->place.port, m[0], m[1],
		m[2], m[3], m[4], m[5], net_format(&e->place.ipv4, text));
}

static void put_port_ip4(struct elements *e)
{
	char text[NET_TEXT_MAX];

	if (!e->place.ipv4.size)
		return;
	begin(e);
	fprintf(e->out, "\"%s\" . %s", e->place.port, net_format(&e->place.ipv4, text));
}

/* The address that the kernel makes of the MAC: RFC 4291, appendix A. */
static struct net_address link_local(const struct net_place *place)
{
	const uint8_t *m = place->mac;

	return (struct net_address){
		.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3],
			m[4], m[5]},
		.size = 16,
	};
}

static void put_port_ip6(struct elements *e)
{
	const struct net_address local = link_local(&e->place);
	char text[NET_TEXT_MAX];

	if (!e->place.ipv6.size)
		return;
	begin(e);
	fprintf(e->out, "\"%s\" . %s, ", e->place.port, net_format(&e->place.ipv6, text));
	fprintf(e->out, "\"%s\" . %s", e->place.port, net_format(&local, text));
}

static void put_number(struct elements *e, const struct net_address *address)
{
	begin(e);
	fprintf(e->out, "\"%s\" . 0x", e->place.port);
	for (size_t i = 0; i < sizeof(address->bytes); i++)
		fprintf(e->out, "%02x", address->bytes[i]);
}

static void put_port_ip6_number(struct elements *e)
{
	const struct net_address local = link_local(&e->place);

	if (!e->place.ipv6.size)
		return;
	put_number(e, &e->place.ipv6);
	put_number(e, &local);
}

static void put_ip4(struct elements *e)
{
	char text[NET_TEXT_MAX];

	if (!e->place.ipv4.size)
		return;
	begin(e);
	fputs(net_format(&e->place.ipv4, text), e->out);
}

static void put_ip6(struct elements *e)
{
	char text[NET_TEXT_MAX];

	if (!e->place.ipv6.size)
		return;
	begin(e);
	fputs(net_format(&e->place.ipv6, text), e->out);
}

/* One element a port: nft cannot shift a range, and a lookup by exact key is the quickest. */
static void put_forward(struct elements *e, int family, bool any)
{
	const struct net_forward *f = &e->row->u.forward;
	const struct net_address *target = family == 4 ? &e->place.ipv4 : &e->place.ipv6;
	char listen[NET_TEXT_MAX];
	char text[NET_TEXT_MAX];

	if (f->family != family || (f->listen.size == 0) != any)
		return;
	net_format(&f->listen, listen);
	net_format(target, text);
	for (unsigned i = 0; i <= (unsigned)(f->last - f->first); i++) {
		begin(e);
		if (!any)
			fprintf(e->out, "%s . ", listen);
		fprintf(e->out, "%u . %u : %s . %u", f->protocol, f->first + i, text, f->to + i);
	}
}

static void put_forward4(struct elements *e)
{
	put_forward(e, 4, false);
}

static void put_forward4_any(struct elements *e)
{
	put_forward(e, 4, true);
}

static void put_forward6(struct elements *e)
{
	put_forward(e, 6, false);
}

static void put_forward6_any(struct elements *e)
{
	put_forward(e, 6, true);
}

/* clang-format off */
static const struct set {
	enum element_table table;
	const char *family;
	const char *kind;
	const char *name;
	const char *definition;
	enum net_row_kind rows;
	void (*put)(struct elements *e);
} sets[] = {
	{TABLE_RULES, "bridge", "map", "ports", "type ifname : verdict", NET_CONTAINER,
	 put_port_chain},
	{TABLE_RULES, "bridge", "set", "trunks", "type ifname", NET_CONTAINER, put_trunks},
	{TABLE_RULES, "bridge", "set", "macs", "type ifname . ether_addr", NET_CONTAINER, put_mac},
	{TABLE_RULES, "bridge", "set", "senders", "type ifname . ether_addr . ipv4_addr",
	 NET_CONTAINER, put_arp},
	{TABLE_RULES, "bridge", "set", "sources4", "type ifname . ipv4_addr", NET_CONTAINER,
	 put_port_ip4},
	{TABLE_RULES, "bridge", "set", "sources6", "type ifname . ipv6_addr", NET_CONTAINER,
	 put_port_ip6},
	/* Parts of a neighbour discovery message that this nft has no names for. */
	{TABLE_RULES, "bridge", "set", "nd_targets", "typeof iifname . @th,64,128", NET_CONTAINER,
	 put_port_ip6_number},
	{TABLE_RULES, "bridge", "set", "nd_macs", "typeof iifname . @th,208,48", NET_CONTAINER,
	 put_mac_number},
	{TABLE_RULES, "inet", "set", "bridges", "type ifname", NET_TENANT, put_bridge},
	{TABLE_RULES, "inet", "set", "shards", "type ifname", NET_TENANT, put_shards},
	{TABLE_RULES, "inet", "set", "neighbours", "type ifname . ifname", NET_TENANT,
	 put_neighbours},
	{TABLE_RULES, "inet", "map", "caps", "type ifname : verdict", NET_TENANT, put_caps},
	{TABLE_RULES, "inet", "map", "smtp", "type ifname : verdict", NET_TENANT, put_smtp},
	{TABLE_RULES, "inet", "map", "opened", "type ifname : counter", NET_TENANT, put_opened},
	{TABLE_RULES, "inet", "map", "opened_smtp", "type ifname : counter", NET_TENANT,
	 put_opened_smtp},
	{TABLE_RULES, "inet", "map", "forward4", "type ipv4_addr . inet_proto . inet_service"
	 " : ipv4_addr . inet_service", NET_FORWARD, put_forward4},
	{TABLE_RULES, "inet", "map", "forward4_any",
	 "type inet_proto . inet_service : ipv4_addr . inet_service", NET_FORWARD,
	 put_forward4_any},
	{TABLE_RULES, "inet", "map", "forward6", "type ipv6_addr . inet_proto . inet_service"
	 " : ipv6_addr . inet_service", NET_FORWARD, put_forward6},
	{TABLE_RULES, "inet", "map", "forward6_any",
	 "type inet_proto . inet_service : ipv6_addr . inet_service", NET_FORWARD,
	 put_forward6_any},
	{TABLE_COUNT, "bridge", "set", "all_out", "type ifname; counter", NET_CONTAINER, put_port},
	{TABLE_COUNT, "bridge", "set", "all_in", "type ifname; counter", NET_CONTAINER, put_port},
	{TABLE_COUNT, "bridge", "set", "to_own", "type ifname . ether_addr; counter",
	 NET_CONTAINER, put_mac},
	{TABLE_COUNT, "inet", "set", "neighbours", "type ifname . ifname", NET_TENANT,
	 put_neighbours},
	{TABLE_COUNT, "inet", "set", "out4", "type ipv4_addr; counter", NET_CONTAINER, put_ip4},
	{TABLE_COUNT, "inet", "set", "in4", "type ipv4_addr; counter", NET_CONTAINER, put_ip4},
	{TABLE_COUNT, "inet", "set", "out6", "type ipv6_addr; counter", NET_CONTAINER, put_ip6},
	{TABLE_COUNT, "inet", "set", "in6", "type ipv6_addr; counter", NET_CONTAINER, put_ip6},
};
/* clang-format on */

static void write_set(FILE *out, const struct net_rules *rules, const struct set *set,
	const char *verb, const char *table)
{
	const struct net_plan *plan = &rules->header.plan;
	struct elements e = {.out = out, .plan = plan};
	char start[128];

	snprintf(start, sizeof(start), "%s element %s %s %s { ", verb, set->family, table,
		set->name);
	e.start = start;
	for (size_t i = 0; i < rules->header.n_rows; i++) {
		const struct net_row *row = &rules->rows[i];

		/* The rows are checked; what does not follow from the plan is left out. */
		if (row->kind != set->rows || net_plan_network(plan, row->tenant, &e.network) < 0 ||
			(row->slot && net_plan_place(plan, row->tenant, row->slot, &e.place) < 0))
			continue;
		e.row = row;
		set->put(&e);
	}
	if (e.n)
		fputs(" }\n", out);
}

void elements_write(
	FILE *out, const struct net_rules *rules, enum element_table table, enum element_verb verb)
{
	char name[NET_TABLE_SIZE];

	net_rules_table(&rules->header.plan, table == TABLE_COUNT, name);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (sets[i].table == table)
			write_set(
				out, rules, &sets[i], verb == ELEMENT_ADD ? "add" : "delete", name);
}

void elements_define(
	FILE *out, const struct net_plan *plan, enum element_table table, const char *family)
{
	char name[NET_TABLE_SIZE];

	net_rules_table(plan, table == TABLE_COUNT, name);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (sets[i].table == table && !strcmp(sets[i].family, family))
			fprintf(out, "add %s %s %s %s { %s; }\n", sets[i].kind, family, name,
				sets[i].name, sets[i].definition);
}
