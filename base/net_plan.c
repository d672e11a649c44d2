/* The arithmetic of networks; see net_plan.h. Never gives an address outside the pool. */
#include "base/net_plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IPV4_SIZE	    4
#define IPV6_SIZE	    16
#define IPV4_TENANT_PREFIX  24
#define IPV6_TENANT_PREFIX  64
#define IPV4_TENANT_MAX	    29 /* room for a gateway and five containers */
#define IPV6_TENANT_MAX	    112
#define IPV4_POOL_MIN	    8
#define IPV6_POOL_MIN	    16
#define DEFAULT_PREFIX_NAME "cft"
#define BRIDGE_PORTS_MIN    2u
/* Locally administered and unicast (IEEE 802: second-least bit of the first octet). */
#define MAC_FIRST  0x02
#define MAC_SECOND 0xcf
/* Slots of the bridges themselves, beyond any container's. */
#define MAC_BRIDGE_SLOT 0u
#define MAC_SHARD_SLOT	0x8000u

void net_plan_init(struct net_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->ipv4.tenant_prefix = IPV4_TENANT_PREFIX;
	plan->ipv6.tenant_prefix = IPV6_TENANT_PREFIX;
	memcpy(plan->prefix_name, DEFAULT_PREFIX_NAME, sizeof(DEFAULT_PREFIX_NAME));
	plan->bridge_ports = NET_BRIDGE_PORTS_MAX;
}

bool net_plan_is_on(const struct net_plan *plan)
{
	return plan->ipv4.base.size || plan->ipv6.base.size;
}

bool net_prefix_name_is_valid(const char *name)
{
	size_t len = strnlen(name, NET_PREFIX_NAME_SIZE);

	/* No digit: the number follows at once. */
	return len > 0 && len <= NET_PREFIX_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz") == len;
}

static bool bit_is_set(const struct net_address *a, unsigned bit)
{
	return a->bytes[bit / 8] >> (7 - bit % 8) & 1;
}

static bool is_network(const struct net_address *a)
{
	for (unsigned bit = a->prefix; bit < a->size * 8u; bit++)
		if (bit_is_set(a, bit))
			return false;
	return true;
}

/* Ranges that are no host's: IANA's special-purpose registries (RFC 6890). */
static bool is_usable(const struct net_address *a)
{
	const uint8_t *b = a->bytes;

	if (a->size == IPV4_SIZE)
		return b[0] != 0 && b[0] != 127 && b[0] < 224 && !(b[0] == 169 && b[1] == 254);
	/* Global unicast (2000::/3) and unique local (fc00::/7). */
	return (b[0] & 0xe0) == 0x20 || (b[0] & 0xfe) == 0xfc;
}

static int check_pool(const struct net_pool *pool, uint8_t size, unsigned pool_min,
	unsigned tenant_max, struct err *err)
{
	const char *family = size == IPV4_SIZE ? "ipv4" : "ipv6";
	char text[NET_TEXT_MAX];

	if (!pool->base.size)
		return 0;
	if (pool->base.size != size || pool->base.prefix < pool_min ||
		pool->base.prefix > tenant_max || !is_network(&pool->base) ||
		!is_usable(&pool->base))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID", family,
			"%s is not a pool of %s addresses: give a private or routed network of "
			"prefix length %u to %u",
			net_format_prefix(&pool->base, text), family, pool_min, tenant_max);
	if (pool->tenant_prefix < pool->base.prefix || pool->tenant_prefix > tenant_max)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID", family,
			"a tenant's %s prefix length must be %u to %u, not %u", family,
			pool->base.prefix, tenant_max, pool->tenant_prefix);
	return 0;
}

int net_plan_check(const struct net_plan *plan, struct err *err)
{
	int r = check_pool(&plan->ipv4, IPV4_SIZE, IPV4_POOL_MIN, IPV4_TENANT_MAX, err);

	if (r == 0)
		r = check_pool(&plan->ipv6, IPV6_SIZE, IPV6_POOL_MIN, IPV6_TENANT_MAX, err);
	if (r < 0)
		return r;
	if (!memchr(plan->prefix_name, '\0', sizeof(plan->prefix_name)) ||
		!net_prefix_name_is_valid(plan->prefix_name))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID",
			"bridge-prefix", "a bridge prefix is 1 to %d letters, a to z",
			NET_PREFIX_NAME_MAX);
	if (plan->bridge_ports < BRIDGE_PORTS_MIN || plan->bridge_ports > NET_BRIDGE_PORTS_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID", "bridge-ports",
			"a bridge has %u to %u ports, not %u", BRIDGE_PORTS_MIN,
			NET_BRIDGE_PORTS_MAX, plan->bridge_ports);
	return 0;
}

int net_resolvers_check(const struct net_resolvers *resolvers, struct err *err)
{
	bool good = resolvers->n <= NET_RESOLVERS_MAX;

	for (uint32_t i = 0; good && i < resolvers->n; i++)
		good = resolvers->list[i].size == IPV4_SIZE || resolvers->list[i].size == IPV6_SIZE;
	return good ? 0
		    : err_set_subject(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID", "dns",
			      "there may be %d resolvers, each an address", NET_RESOLVERS_MAX);
}

static uint32_t bounded(unsigned bits, uint32_t max)
{
	return bits >= 32 || 1u << bits > max ? max : 1u << bits;
}

uint32_t net_plan_networks(const struct net_plan *plan)
{
	const struct net_pool *pools[] = {&plan->ipv4, &plan->ipv6};
	uint32_t n = net_plan_is_on(plan) ? NET_NUMBER_MAX : 0;

	for (size_t i = 0; i < 2; i++)
		if (pools[i]->base.size)
			n = bounded(pools[i]->tenant_prefix - pools[i]->base.prefix, n);
	return n;
}

uint32_t net_plan_slots(const struct net_plan *plan)
{
	uint32_t n = net_plan_is_on(plan) ? NET_SLOT_MAX : 0;

	/* Not the network's own address, the gateway's, nor broadcast. IPv6 has always enough. */
	if (plan->ipv4.base.size)
		n = bounded(32u - plan->ipv4.tenant_prefix, n + 3) - 3;
	return n;
}

/* Adds value << shift to a big-endian number. */
static void add(struct net_address *a, uint32_t value, unsigned shift)
{
	uint64_t carry = (uint64_t)value << shift % 8;

	for (int i = a->size - 1 - (int)(shift / 8); i >= 0 && carry; i--) {
		carry += a->bytes[i];
		a->bytes[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

/* Address `host` of network `number`; none where there is no pool. */
static struct net_address address_in(const struct net_pool *pool, uint32_t number, uint32_t host)
{
	struct net_address a = pool->base;

	if (!a.size)
		return a;
	add(&a, number - 1, a.size * 8u - pool->tenant_prefix);
	add(&a, host, 0);
	a.prefix = pool->tenant_prefix;
	return a;
}

static void fill_mac(uint8_t mac[static NET_MAC_SIZE], uint32_t number, uint32_t slot)
{
	mac[0] = MAC_FIRST;
	mac[1] = MAC_SECOND;
	mac[2] = (uint8_t)(number >> 8);
	mac[3] = (uint8_t)number;
	mac[4] = (uint8_t)(slot >> 8);
	mac[5] = (uint8_t)slot;
}

static bool has_network(const struct net_plan *plan, uint32_t number)
{
	return number >= 1 && number <= net_plan_networks(plan);
}

static void number_name(
	const struct net_plan *plan, uint32_t number, char out[static NET_IFNAME_SIZE])
{
	snprintf(out, NET_IFNAME_SIZE, "%.4s%hu", plan->prefix_name, (uint16_t)number);
}

/* At most 4 letters, 5 digits, the separator, 4 digits and a letter: 15 in all. */
static void sub_name(const struct net_plan *plan, uint32_t number, char separator, uint32_t sub,
	const char *end, char out[static NET_IFNAME_SIZE])
{
	snprintf(out, NET_IFNAME_SIZE, "%.4s%hu%c%u%.1s", plan->prefix_name, (uint16_t)number,
		separator, sub % 10000, end);
}

_Static_assert(NET_SLOT_MAX < 10000, "a slot has four digits");

int net_plan_network(const struct net_plan *plan, uint32_t number, struct net_network *ret)
{
	if (!has_network(plan, number))
		return -ERANGE;
	memset(ret, 0, sizeof(*ret));
	number_name(plan, number, ret->bridge);
	fill_mac(ret->mac, number, MAC_BRIDGE_SLOT);
	ret->ipv4 = address_in(&plan->ipv4, number, 1);
	ret->ipv6 = address_in(&plan->ipv6, number, 1);
	return 0;
}

int net_plan_place(
	const struct net_plan *plan, uint32_t number, uint32_t slot, struct net_place *ret)
{
	if (!has_network(plan, number) || slot < 1 || slot > net_plan_slots(plan))
		return -ERANGE;
	memset(ret, 0, sizeof(*ret));
	sub_name(plan, number, '-', slot, "", ret->port);
	ret->shard = (slot - 1) / plan->bridge_ports;
	fill_mac(ret->mac, number, slot);
	ret->ipv4 = address_in(&plan->ipv4, number, slot + 1);
	ret->ipv6 = address_in(&plan->ipv6, number, slot + 1);
	return 0;
}

int net_plan_shard(
	const struct net_plan *plan, uint32_t number, uint32_t shard, struct net_shard *ret)
{
	if (!has_network(plan, number) || shard < 1 ||
		shard > (net_plan_slots(plan) - 1) / plan->bridge_ports)
		return -ERANGE;
	memset(ret, 0, sizeof(*ret));
	sub_name(plan, number, '.', shard, "", ret->bridge);
	sub_name(plan, number, '.', shard, "u", ret->up);
	sub_name(plan, number, '.', shard, "d", ret->down);
	fill_mac(ret->mac, number, MAC_SHARD_SLOT | shard);
	return 0;
}

static int parse(const char *text, struct net_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, ret->bytes) == 1)
		ret->size = IPV4_SIZE;
	else if (inet_pton(AF_INET6, text, ret->bytes) == 1)
		ret->size = IPV6_SIZE;
	else
		return -EINVAL;
	ret->prefix = (uint8_t)(ret->size * 8);
	return 0;
}

int net_parse_address(const char *text, struct net_address *ret)
{
	struct net_address a;
	int r = parse(text, &a);

	if (r == 0)
		*ret = a;
	return r;
}

int net_parse_pool(const char *text, struct net_address *ret)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	struct net_address a;
	unsigned prefix = 0;
	size_t digits;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	digits = strspn(slash + 1, "0123456789");
	if (digits < 1 || digits > 3 || slash[1 + digits])
		return -EINVAL;
	for (size_t i = 1; i <= digits; i++)
		prefix = prefix * 10 + (unsigned)(slash[i] - '0');
	if (parse(address, &a) < 0 || prefix > a.prefix)
		return -EINVAL;
	a.prefix = (uint8_t)prefix;
	if (!is_network(&a))
		return -EINVAL;
	*ret = a;
	return 0;
}

bool net_address_holds(const struct net_address *network, const uint8_t *address)
{
	size_t whole = network->prefix / 8;
	uint8_t mask = (uint8_t)(0xff00u >> network->prefix % 8);

	return !memcmp(network->bytes, address, whole) &&
	       (!mask || !((network->bytes[whole] ^ address[whole]) & mask));
}

const char *net_format(const struct net_address *a, char out[static NET_TEXT_MAX])
{
	if (!a->size ||
		!inet_ntop(a->size == IPV4_SIZE ? AF_INET : AF_INET6, a->bytes, out, NET_TEXT_MAX))
		out[0] = '\0';
	return out;
}

const char *net_format_prefix(const struct net_address *a, char out[static NET_TEXT_MAX])
{
	size_t len = strlen(net_format(a, out));

	if (len)
		snprintf(out + len, NET_TEXT_MAX - len, "/%u", a->prefix);
	return out;
}

struct net_address net_network_of(const struct net_address *address)
{
	struct net_address a = *address;

	for (unsigned bit = a.prefix; bit < a.size * 8u; bit++)
		a.bytes[bit / 8] &= (uint8_t) ~(1u << (7 - bit % 8));
	return a;
}

bool net_is_loopback(const struct net_address *a)
{
	static const uint8_t one[IPV6_SIZE] = {[IPV6_SIZE - 1] = 1};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->size == IPV4_SIZE)
		return a->bytes[0] == 127;
	return !memcmp(a->bytes, one, sizeof(one)) ||
	       (!memcmp(a->bytes, mapped, sizeof(mapped)) && a->bytes[12] == 127);
}
