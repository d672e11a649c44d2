/*
 * The tables, chains and rules of an instance; see text.h. Rules look up; what differs from
 * container to container is in sets (elements.c), what differs from tenant to tenant in two small
 * chains each. Must write nothing that was not computed here from checked numbers.
 */
#include "sandbox/net/text.h"

#include "base/cleanup.h"
#include "sandbox/net/elements.h"
#include "sandbox/net/stale.h"

struct text {
	FILE *out;
	const struct net_rules *rules;
	char table[NET_TABLE_SIZE];
	char count[NET_TABLE_SIZE];
};

static const char *const families[] = {"inet", "bridge"};

/*
 * One rule for each digit that a number can begin with: the letters alone would also match an
 * instance whose letters go on. Sets of such patterns are shown garbled by nft 1.0.6.
 */
static void write_own(const struct text *t, const char *family, const char *table,
	const char *chain, const char *key, const char *what)
{
	for (char digit = '1'; digit <= '9'; digit++)
		fprintf(t->out, "add rule %s %s %s %s \"%s%c*\" %s\n", family, table, chain, key,
			t->rules->header.plan.prefix_name, digit, what);
}

static void write_rules(const struct text *t, const char *family, const char *table,
	const char *chain, const char *const *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(t->out, "add rule %s %s %s %s\n", family, table, chain, lines[i]);
}

#define RULES(t, family, chain, ...)                                                               \
	do {                                                                                       \
		static const char *const lines_[] = {__VA_ARGS__};                                 \
		fprintf((t)->out, "add chain %s %s %s\n", family, (t)->table, chain);              \
		write_rules(t, family, (t)->table, chain, lines_, ARRAY_SIZE(lines_));             \
	} while (0)

static void write_base_chain(const struct text *t, const char *family, const char *table,
	const char *chain, const char *type, const char *hook, int priority)
{
	fprintf(t->out,
		"add chain %s %s %s { type %s hook %s priority %d; policy accept; }\n"
		"flush chain %s %s %s\n",
		family, table, chain, type, hook, priority, family, table, chain);
}

static void write_counters(
	const struct text *t, const char *family, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(t->out, "add counter %s %s %s\n", family, t->table, names[i]);
}

/*
 * What a container may send. Each port has one MAC and its addresses; whoever is not known may
 * send nothing, so there is no moment without rules between a port's start and its row.
 */
static void write_container_chains(const struct text *t)
{
	static const char *const counters[] = {"spoofed_mac", "spoofed_ip4", "spoofed_ip6",
		"spoofed_arp", "spoofed_nd", "rogue_dhcp", "rogue_icmp6", "other_protocol"};

	write_counters(t, "bridge", counters, ARRAY_SIZE(counters));
	RULES(t, "bridge", "from_ip4",
		"iifname . ip saddr != @sources4 counter name spoofed_ip4 drop",
		/* No answers of a DHCP server, whatever port they come from. */
		"udp sport 67 counter name rogue_dhcp drop",
		"udp dport 68 counter name rogue_dhcp drop", "accept");
	RULES(t, "bridge", "source6", "iifname . ip6 saddr @sources6 accept",
		"counter name spoofed_ip6 drop");
	/* ND in fragments is not read by anybody (RFC 6980), but may be what comes next. */
	RULES(t, "bridge", "fragment6", "icmpv6 type 133-137 counter name spoofed_nd drop",
		"goto source6");
	RULES(t, "bridge", "report6", "ip6 saddr :: accept", "goto source6");
	/*
	 * A solicitation from nowhere is duplicate address detection. The link-layer address is
	 * the first option or there is none: a receiver takes the first of its kind, but looks for
	 * it among all.
	 */
	RULES(t, "bridge", "solicit6", "ip6 nexthdr != 58 counter name spoofed_nd drop",
		"ip6 saddr :: iifname . @th,64,128 @nd_targets accept",
		"ip6 saddr :: counter name spoofed_nd drop", "ip6 length 24 goto source6",
		"@th,192,8 1 @th,200,8 1 iifname . @th,208,48 @nd_macs goto source6",
		"counter name spoofed_nd drop");
	RULES(t, "bridge", "advertise6", "ip6 nexthdr != 58 counter name spoofed_nd drop",
		"iifname . @th,64,128 != @nd_targets counter name spoofed_nd drop",
		"ip6 length 24 goto source6",
		"@th,192,8 2 @th,200,8 1 iifname . @th,208,48 @nd_macs goto source6",
		"counter name spoofed_nd drop");
	/* No router's advertisements, redirects or queries; solicitations of one are idle. */
	RULES(t, "bridge", "from_icmp6", "exthdr frag exists goto fragment6",
		"icmpv6 type vmap { 1-4 : goto source6, 128-129 : goto source6, "
		"131-132 : goto report6, 143 : goto report6, 135 : goto solicit6, "
		"136 : goto advertise6, 133 : drop }",
		"counter name rogue_icmp6 drop");
	RULES(t, "bridge", "from_ip6", "meta l4proto 58 goto from_icmp6",
		"iifname . ip6 saddr != @sources6 counter name spoofed_ip6 drop",
		"udp sport 547 counter name rogue_dhcp drop",
		"udp dport 546 counter name rogue_dhcp drop", "accept");
	/* A probe for its own address has no sender's (RFC 5227). */
	RULES(t, "bridge", "from_arp", "arp htype != 1 counter name spoofed_arp drop",
		"arp ptype != ip counter name spoofed_arp drop",
		"arp hlen != 6 counter name spoofed_arp drop",
		"arp plen != 4 counter name spoofed_arp drop",
		"arp operation != { request, reply } counter name spoofed_arp drop",
		"iifname . arp saddr ether . arp saddr ip @senders accept",
		"arp saddr ip 0.0.0.0 iifname . arp saddr ether . arp daddr ip @senders accept",
		"counter name spoofed_arp drop");
}

static void write_bridge_table(const struct text *t)
{
	elements_define(t->out, &t->rules->header.plan, TABLE_RULES, "bridge");
	write_container_chains(t);
	/* ether type, not the packet's protocol: that one looks through a VLAN tag. */
	RULES(t, "bridge", "from_container", "iifname @trunks accept", "iifname vmap @ports",
		"iifname . ether saddr != @macs counter name spoofed_mac drop",
		"ether type vmap { ip : goto from_ip4, ip6 : goto from_ip6, arp : goto from_arp }",
		"counter name other_protocol drop");
	write_base_chain(t, "bridge", t->table, "prerouting", "filter", "prerouting", -300);
	write_own(t, "bridge", t->table, "prerouting", "iifname", "goto from_container");
}

static bool is_private(const struct net_address *a)
{
	const uint8_t *b = a->bytes;

	if (a->size == 16)
		return (b[0] & 0xfe) == 0xfc;					     /* RFC 4193 */
	return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||		     /* RFC 1918 */
	       (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64); /* RFC 6598 */
}

/* A rule for each family whose addresses mean nothing outside. */
static void write_private(const struct text *t, const char *chain, const char *what)
{
	const struct net_plan *plan = &t->rules->header.plan;

	if (is_private(&plan->ipv4.base))
		fprintf(t->out, "add rule inet %s %s meta nfproto ipv4 %s\n", t->table, chain,
			what);
	if (is_private(&plan->ipv6.base))
		fprintf(t->out, "add rule inet %s %s meta nfproto ipv6 %s\n", t->table, chain,
			what);
}

/*
 * What is routed. Replies need no rule of their own: what follows a connection that was let through
 * in its first direction is established.
 */
static void write_forward_chains(const struct text *t)
{
	static const char *const counters[] = {
		"invalid", "other_tenants", "unasked", "to_host", "unknown_bridge", "midstream"};

	write_counters(t, "inet", counters, ARRAY_SIZE(counters));
	RULES(t, "inet", "capped", "ct state new oifname vmap @caps");
	RULES(t, "inet", "to_tenant", "oifname != @bridges counter name unknown_bridge drop",
		"ct state established,related accept", "ct status dnat goto capped");
	write_private(t, "to_tenant", "counter name unasked drop");
	fprintf(t->out, "add rule inet %s to_tenant goto capped\n", t->table);
	/* Another tenant's forward is the only way from one tenant to another. */
	RULES(t, "inet", "to_other", "ct status dnat ct state new oifname vmap @caps",
		"ct status dnat accept", "counter name other_tenants drop");
	RULES(t, "inet", "from_tenant", "iifname != @bridges counter name unknown_bridge drop",
		"iifname . oifname @neighbours accept",
		/*
		 * What is left of a connection that was cut (net_conntrack.h): the kernel would
		 * take data for one that began before it looked, and go on with it. It ends at
		 * once, so that no socket waits for an answer.
		 */
		"ct state invalid tcp flags fin / fin,rst counter name midstream "
		"reject with tcp reset",
		"ct state new tcp flags != syn / fin,syn,rst,ack counter name midstream "
		"reject with tcp reset",
		/* It would leave with the address that it has inside. */
		"ct state invalid counter name invalid drop");
	write_own(t, "inet", t->table, "from_tenant", "oifname", "goto to_other");
	/* Submission (465, 587) asks who is there; 25 takes mail from anybody. */
	RULES(t, "inet", "from_tenant", "tcp dport 25 iifname vmap @smtp", "accept");
	write_base_chain(t, "inet", t->table, "forward", "filter", "forward", 0);
	write_own(t, "inet", t->table, "forward", "iifname", "goto from_tenant");
	write_own(t, "inet", t->table, "forward", "oifname", "goto to_tenant");
	/*
	 * br_netfilter would make a connection of what only passes a shard, before it comes to
	 * where it is routed and may need another address.
	 */
	write_base_chain(t, "inet", t->table, "untracked", "filter", "prerouting", -300);
	RULES(t, "inet", "untracked", "iifname @shards notrack");
	RULES(t, "inet", "from_tenant_new", "ct state new iifname vmap @caps");
	write_base_chain(t, "inet", t->table, "prerouting", "filter", "prerouting", -150);
	write_own(t, "inet", t->table, "prerouting", "iifname", "goto from_tenant_new");
}

/* The host answers echo requests and finds its neighbours; anything else is refused. */
static void write_host_chains(const struct text *t)
{
	RULES(t, "inet", "to_host", "iifname != @bridges counter name unknown_bridge drop",
		"ct state established,related accept", "icmp type echo-request accept",
		"icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert } accept",
		"meta pkttype { broadcast, multicast } drop",
		/* At once: of ICMPv6 errors the kernel sends a receiver one a second. */
		"meta l4proto tcp counter name to_host reject with tcp reset",
		"counter name to_host reject with icmpx admin-prohibited");
	write_base_chain(t, "inet", t->table, "input", "filter", "input", 0);
	write_own(t, "inet", t->table, "input", "iifname", "goto to_host");
}

static void write_pool(const struct text *t, const struct net_pool *pool, const char *family)
{
	char text[NET_TEXT_MAX];

	if (pool->base.size)
		fprintf(t->out,
			"add rule inet %s towards_container %s saddr %s ct status dnat "
			"masquerade\n",
			t->table, family, net_format_prefix(&pool->base, text));
}

static void write_nat_chains(const struct text *t)
{
	/*
	 * The loopback's own address is left alone: a connection from it could only be forwarded
	 * with route_localnet, which opens the host's local services to the network.
	 */
	RULES(t, "inet", "forwards", "ip daddr 127.0.0.0/8 return", "ip6 daddr ::1 return",
		"dnat ip to ip daddr . meta l4proto . th dport map @forward4",
		"meta nfproto ipv6 dnat ip6 to ip6 daddr . meta l4proto . th dport map @forward6",
		"fib daddr type != local return",
		"dnat ip to meta l4proto . th dport map @forward4_any",
		"meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @forward6_any");
	write_base_chain(t, "inet", t->table, "dstnat", "nat", "prerouting", -100);
	write_base_chain(t, "inet", t->table, "output_dstnat", "nat", "output", -100);
	RULES(t, "inet", "dstnat", "jump forwards");
	RULES(t, "inet", "output_dstnat", "jump forwards");
	/*
	 * From one container to another by a forward: a neighbour's answer must come back through
	 * the host, and another tenant learns no address. By the source, since the bridge's own
	 * code (br_netfilter) runs this chain without telling where the packet came from.
	 */
	RULES(t, "inet", "towards_container",
		"ct status dnat iifname . oifname != @neighbours counter name iifname map @opened");
	write_pool(t, &t->rules->header.plan.ipv4, "ip");
	write_pool(t, &t->rules->header.plan.ipv6, "ip6");
	RULES(t, "inet", "towards_container", "accept");
	/* Only what has come through all other rules is here, and of a connection one packet. */
	RULES(t, "inet", "masquerading", "iifname != @bridges accept",
		"counter name iifname map @opened",
		"tcp dport 25 counter name iifname map @opened_smtp");
	write_private(t, "masquerading", "masquerade");
	write_base_chain(t, "inet", t->table, "srcnat", "nat", "postrouting", 100);
	write_own(t, "inet", t->table, "srcnat", "oifname", "goto towards_container");
	write_own(t, "inet", t->table, "srcnat", "iifname", "goto masquerading");
}

static void write_tables(const struct text *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		fprintf(t->out, "add table %s %s\ndelete table %s %s\nadd table %s %s\n",
			families[i], t->table, families[i], t->table, families[i], t->table);
	write_bridge_table(t);
	elements_define(t->out, &t->rules->header.plan, TABLE_RULES, "inet");
	write_forward_chains(t);
	write_host_chains(t);
	write_nat_chains(t);
}

/*
 * The tables of counters: after the rules, so that they see what was let through. Where one side
 * is a container and the other none of its neighbours, it is outside.
 */
static void write_count_tables(const struct text *t)
{
	static const char *const outside_out[] = {"ip saddr @out4", "ip6 saddr @out6"};
	/* The first is a MAC's bit for a group of many, which this nft has no name for. */
	static const char *const to_own[] = {"@ll,7,1 1 accept", "ether type != { ip, ip6 } accept",
		"ether type ip6 ip6 nexthdr 58 icmpv6 type 133-137 accept",
		"oifname . ether daddr @to_own"};
	static const char *const outside_in[] = {"ip daddr @in4", "ip6 daddr @in6"};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		fprintf(t->out, "add table %s %s\n", families[i], t->count);
		elements_define(t->out, &t->rules->header.plan, TABLE_COUNT, families[i]);
	}
	write_base_chain(t, "bridge", t->count, "prerouting", "filter", "prerouting", -250);
	write_base_chain(t, "bridge", t->count, "postrouting", "filter", "postrouting", 300);
	fprintf(t->out,
		"add rule bridge %s prerouting iifname @all_out\n"
		"add rule bridge %s postrouting oifname @all_in\n",
		t->count, t->count);
	/* Of an earlier Croft. */
	fprintf(t->out,
		"add set bridge %s own_in { type ifname; counter; }\ndelete set bridge %s own_in\n",
		t->count, t->count);
	/*
	 * What nobody else gets, and wants an answer of a program inside. By the MAC, too: a frame
	 * for one that the bridge has forgotten goes to every port.
	 */
	write_rules(t, "bridge", t->count, "postrouting", to_own, ARRAY_SIZE(to_own));
	fprintf(t->out,
		"add chain inet %s outside\nflush chain inet %s outside\n"
		"add rule inet %s outside iifname . oifname @neighbours accept\n",
		t->count, t->count, t->count);
	write_rules(t, "inet", t->count, "outside", outside_out, ARRAY_SIZE(outside_out));
	write_rules(t, "inet", t->count, "outside", outside_in, ARRAY_SIZE(outside_in));
	write_base_chain(t, "inet", t->count, "forward", "filter", "forward", 300);
	write_own(t, "inet", t->count, "forward", "iifname", "goto outside");
	write_own(t, "inet", t->count, "forward", "oifname", "goto outside");
}

/* Of one tenant: its chains, emptied first, so that writing them again changes its caps. */
static void write_tenant(const struct text *t, const struct net_row *row)
{
	const struct net_caps *caps = &row->u.caps;
	uint32_t n = row->tenant;

	fprintf(t->out,
		"add counter inet %s t%u_connections\nadd counter inet %s t%u_flows\n"
		"add counter inet %s t%u_smtp\nadd counter bridge %s t%u_packets\n"
		"add counter inet %s t%u_opened\nadd counter inet %s t%u_opened_smtp\n",
		t->table, n, t->table, n, t->table, n, t->table, n, t->table, n, t->table, n);
	fprintf(t->out,
		"add chain inet %s t%u\nadd chain inet %s t%u_smtp\nadd chain bridge %s t%u\n",
		t->table, n, t->table, n, t->table, n);
	fprintf(t->out,
		"flush chain inet %s t%u\nflush chain inet %s t%u_smtp\nflush chain bridge %s "
		"t%u\n",
		t->table, n, t->table, n, t->table, n);
	fprintf(t->out,
		"add rule inet %s t%u limit rate over %u/second burst %u packets counter name "
		"t%u_flows drop\n"
		"add rule inet %s t%u ct count over %u counter name t%u_connections drop\n",
		t->table, n, caps->flows, caps->flows, n, t->table, n, caps->connections, n);
	/* A quarter of a second's packets at once: queues drain in bursts. */
	fprintf(t->out,
		"add rule bridge %s t%u limit rate over %u/second burst %u packets counter name "
		"t%u_packets drop\n",
		t->table, n, caps->packets, caps->packets / 4 + 1, n);
	if (!caps->smtp)
		fprintf(t->out,
			"add rule inet %s t%u_smtp counter name t%u_smtp reject with tcp reset\n",
			t->table, n, n);
}

static void remove_tenant(const struct text *t, uint32_t n)
{
	fprintf(t->out, "delete chain inet %s t%u\ndelete chain inet %s t%u_smtp\n", t->table, n,
		t->table, n);
	fprintf(t->out, "delete chain bridge %s t%u\n", t->table, n);
	fprintf(t->out,
		"delete counter inet %s t%u_connections\ndelete counter inet %s t%u_flows\n"
		"delete counter inet %s t%u_smtp\ndelete counter bridge %s t%u_packets\n"
		"delete counter inet %s t%u_opened\ndelete counter inet %s t%u_opened_smtp\n",
		t->table, n, t->table, n, t->table, n, t->table, n, t->table, n, t->table, n);
}

static void write_tenants(const struct text *t)
{
	for (size_t i = 0; i < t->rules->header.n_rows; i++)
		if (t->rules->rows[i].kind == NET_TENANT)
			write_tenant(t, &t->rules->rows[i]);
}

static void remove_tenants(const struct text *t)
{
	for (size_t i = 0; i < t->rules->header.n_rows; i++)
		if (t->rules->rows[i].kind == NET_TENANT)
			remove_tenant(t, t->rules->rows[i].tenant);
}

static void drop_tables(const struct text *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		fprintf(t->out,
			"add table %s %s\ndelete table %s %s\nadd table %s %s\ndelete table %s "
			"%s\n",
			families[i], t->table, families[i], t->table, families[i], t->count,
			families[i], t->count);
}

/* What is there and what is not can both be removed: it is added first. */
static void remove_elements(const struct text *t, enum element_table table)
{
	elements_write(t->out, t->rules, table, ELEMENT_ADD);
	elements_write(t->out, t->rules, table, ELEMENT_DELETE);
}

static int write_operation(const struct text *t, const struct net_usage_table *counted)
{
	switch ((enum net_op)t->rules->header.op) {
	case NET_REPLACE:
		write_tables(t);
		write_tenants(t);
		elements_write(t->out, t->rules, TABLE_RULES, ELEMENT_ADD);
		write_count_tables(t);
		elements_write(t->out, t->rules, TABLE_COUNT, ELEMENT_ADD);
		return stale_write(t->out, t->rules, counted);
	case NET_ADD:
		write_tenants(t);
		elements_write(t->out, t->rules, TABLE_RULES, ELEMENT_ADD);
		remove_elements(t, TABLE_COUNT);
		elements_write(t->out, t->rules, TABLE_COUNT, ELEMENT_ADD);
		return 0;
	case NET_REMOVE:
		/* Adding an element that leads to a tenant's chain needs the chain. */
		write_tenants(t);
		remove_elements(t, TABLE_RULES);
		remove_tenants(t);
		return 0;
	case NET_FORGET:
		remove_elements(t, TABLE_COUNT);
		return 0;
	case NET_DROP:
		drop_tables(t);
		return 0;
	}
	return -EINVAL;
}

int text_build(const struct net_rules *rules, const struct net_usage_table *counted,
	char **ret_text, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	struct text t = {.rules = rules};
	size_t size = 0;
	int r;

	t.out = open_memstream(&data, &size);
	if (!t.out)
		return err_oom(err);
	net_rules_table(&rules->header.plan, 0, t.table);
	net_rules_table(&rules->header.plan, 1, t.count);
	r = write_operation(&t, counted);
	/* A stream that failed anywhere fails here. */
	if (ferror(t.out))
		r = -ENOMEM;
	if (fclose(t.out) != 0)
		r = -ENOMEM;
	if (r < 0)
		return err_sys(err, r, "write the rules for the network");
	*ret_text = take_ptr(data);
	return 0;
}
