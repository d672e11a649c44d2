/* base/net_plan.h at its borders: the first and last of everything, and what a pool cannot hold. */
#include "base/net_plan.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static struct net_plan make(const char *ipv4, const char *ipv6)
{
	struct net_plan plan;
	struct err err;

	net_plan_init(&plan);
	if (ipv4)
		assert_int_equal(net_parse_pool(ipv4, &plan.ipv4.base), 0);
	if (ipv6)
		assert_int_equal(net_parse_pool(ipv6, &plan.ipv6.base), 0);
	assert_int_equal(net_plan_check(&plan, &err), 0);
	return plan;
}

static void expect(const struct net_address *a, const char *text)
{
	char out[NET_TEXT_MAX];

	assert_string_equal(net_format_prefix(a, out), text);
}

static void expect_mac(const uint8_t mac[static NET_MAC_SIZE], const char *text)
{
	char out[18];

	snprintf(out, sizeof(out), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	assert_string_equal(out, text);
}

static void without_a_pool_there_is_nothing(void **state)
{
	struct net_plan plan = make(NULL, NULL);
	struct net_network network;
	struct net_place place;

	(void)state;
	assert_false(net_plan_is_on(&plan));
	assert_int_equal(net_plan_networks(&plan), 0);
	assert_int_equal(net_plan_slots(&plan), 0);
	assert_int_equal(net_plan_network(&plan, 1, &network), -ERANGE);
	assert_int_equal(net_plan_place(&plan, 1, 1, &place), -ERANGE);
}

static void first_and_last_of_both_families(void **state)
{
	struct net_plan plan = make("10.80.0.0/12", "fd00:1234::/48");
	struct net_network network;
	struct net_place place;

	(void)state;
	assert_int_equal(net_plan_networks(&plan), 4096);
	assert_int_equal(net_plan_slots(&plan), 253);

	assert_int_equal(net_plan_network(&plan, 1, &network), 0);
	assert_string_equal(network.bridge, "cft1");
	expect_mac(network.mac, "02:cf:00:01:00:00");
	expect(&network.ipv4, "10.80.0.1/24");
	expect(&network.ipv6, "fd00:1234::1/64");

	assert_int_equal(net_plan_place(&plan, 1, 1, &place), 0);
	assert_string_equal(place.port, "cft1-1");
	expect(&place.ipv4, "10.80.0.2/24");
	expect(&place.ipv6, "fd00:1234::2/64");

	assert_int_equal(net_plan_place(&plan, 4096, 253, &place), 0);
	assert_string_equal(place.port, "cft4096-253");
	expect_mac(place.mac, "02:cf:10:00:00:fd");
	expect(&place.ipv4, "10.95.255.254/24");
	expect(&place.ipv6, "fd00:1234:0:fff::fe/64");

	assert_int_equal(net_plan_place(&plan, 0, 1, &place), -ERANGE);
	assert_int_equal(net_plan_place(&plan, 4097, 1, &place), -ERANGE);
	assert_int_equal(net_plan_place(&plan, 1, 0, &place), -ERANGE);
	assert_int_equal(net_plan_place(&plan, 1, 254, &place), -ERANGE);
}

static void the_smaller_family_decides(void **state)
{
	struct net_plan plan = make("192.168.4.0/23", "fd00::/16");

	(void)state;
	assert_int_equal(net_plan_networks(&plan), 2);
	plan = make(NULL, "fd00::/16");
	assert_int_equal(net_plan_networks(&plan), NET_NUMBER_MAX);
	assert_int_equal(net_plan_slots(&plan), NET_SLOT_MAX);
}

static void a_pool_of_one_network(void **state)
{
	struct net_plan plan = make("192.168.7.0/24", NULL);
	struct net_network network;

	(void)state;
	assert_int_equal(net_plan_networks(&plan), 1);
	assert_int_equal(net_plan_network(&plan, 1, &network), 0);
	expect(&network.ipv4, "192.168.7.1/24");
	assert_int_equal(network.ipv6.size, 0);
	assert_int_equal(net_plan_network(&plan, 2, &network), -ERANGE);
}

/* The longest names that there can be fit an interface, and differ. */
static void the_longest_names_fit(void **state)
{
	struct net_plan plan = make(NULL, "fd00::/16");
	struct net_network network;
	struct net_place place;
	struct net_shard shard;

	(void)state;
	strcpy(plan.prefix_name, "wxyz");
	plan.bridge_ports = 2;
	assert_int_equal(net_plan_network(&plan, NET_NUMBER_MAX, &network), 0);
	assert_string_equal(network.bridge, "wxyz65535");
	expect(&network.ipv6, "fd00:0:0:fffe::1/64");
	assert_int_equal(net_plan_place(&plan, NET_NUMBER_MAX, NET_SLOT_MAX, &place), 0);
	assert_string_equal(place.port, "wxyz65535-8190");
	assert_int_equal(place.shard, 4094);
	assert_int_equal(net_plan_shard(&plan, NET_NUMBER_MAX, 4094, &shard), 0);
	assert_string_equal(shard.bridge, "wxyz65535.4094");
	assert_string_equal(shard.up, "wxyz65535.4094u");
	assert_string_equal(shard.down, "wxyz65535.4094d");
	assert_int_equal(net_plan_shard(&plan, NET_NUMBER_MAX, 4095, &shard), -ERANGE);
	assert_int_equal(net_plan_shard(&plan, NET_NUMBER_MAX, 0, &shard), -ERANGE);
}

static void shards_begin_behind_a_full_bridge(void **state)
{
	struct net_plan plan = make("10.0.0.0/8", NULL);
	struct net_place place;

	(void)state;
	plan.ipv4.tenant_prefix = 16;
	assert_int_equal(net_plan_slots(&plan), NET_SLOT_MAX);
	assert_int_equal(net_plan_place(&plan, 256, 1000, &place), 0);
	assert_int_equal(place.shard, 0);
	expect(&place.ipv4, "10.255.3.233/16");
	assert_int_equal(net_plan_place(&plan, 256, 1001, &place), 0);
	assert_int_equal(place.shard, 1);
}

static void odd_prefixes_carry(void **state)
{
	struct net_plan plan = make("10.0.0.0/9", NULL);
	struct net_place place;

	(void)state;
	plan.ipv4.tenant_prefix = 27;
	assert_int_equal(net_plan_slots(&plan), 29);
	assert_int_equal(net_plan_networks(&plan), NET_NUMBER_MAX);
	assert_int_equal(net_plan_place(&plan, 9, 29, &place), 0);
	expect(&place.ipv4, "10.0.1.30/27");
	assert_int_equal(net_plan_place(&plan, NET_NUMBER_MAX, 1, &place), 0);
	expect(&place.ipv4, "10.31.255.194/27");
}

static void pools_that_make_no_sense(void **state)
{
	static const char *const pools[] = {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16",
		"224.0.0.0/8", "240.0.0.0/8", "10.0.0.0/7", "10.0.0.0/30", "fe80::/16", "ff00::/16",
		"::/16", "fd00::/113", "fd00::/15"};

	(void)state;
	for (size_t i = 0; i < sizeof(pools) / sizeof(*pools); i++) {
		bool is_ipv6 = strchr(pools[i], ':');
		struct net_plan plan;
		struct err err;

		net_plan_init(&plan);
		if (net_parse_pool(pools[i], is_ipv6 ? &plan.ipv6.base : &plan.ipv4.base) < 0)
			continue; /* has bits behind its prefix */
		if (net_plan_check(&plan, &err) == 0)
			fail_msg("%s was accepted", pools[i]);
		assert_string_equal(err.reason, "NETWORK_INVALID");
	}
}

static void a_plan_from_a_peer_is_checked(void **state)
{
	struct net_plan plan = make("10.0.0.0/8", NULL);
	struct net_plan bad = plan;

	(void)state;
	bad.ipv4.base.size = 16;
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	bad = plan;
	bad.ipv4.base.bytes[3] = 1;
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	bad = plan;
	bad.ipv4.base.prefix = 200;
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	bad = plan;
	bad.ipv4.tenant_prefix = 7;
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	bad = plan;
	bad.bridge_ports = 1001;
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	bad = plan;
	bad.bridge_ports = 0;
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	bad = plan;
	memset(bad.prefix_name, 'a', sizeof(bad.prefix_name));
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	strcpy(bad.prefix_name, "eth0");
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	strcpy(bad.prefix_name, "../");
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
	strcpy(bad.prefix_name, "");
	assert_int_equal(net_plan_check(&bad, NULL), -EINVAL);
}

static void texts_that_are_no_pool(void **state)
{
	static const char *const texts[] = {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0.0/0008", "10.0.0.1/8", "fd00::/129",
		"fd00::1/64", "10.0.0/8", "x/8", "fd00:/64", "10.0.0.0/8/8"};
	struct net_address a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (net_parse_pool(texts[i], &a) == 0)
			fail_msg("\"%s\" was accepted", texts[i]);
}

static void resolvers_from_a_peer_are_checked(void **state)
{
	struct net_resolvers resolvers = {.n = 1};

	(void)state;
	assert_int_equal(net_resolvers_check(&resolvers, NULL), -EINVAL);
	assert_int_equal(net_parse_address("10.0.0.1", &resolvers.list[0]), 0);
	assert_int_equal(net_resolvers_check(&resolvers, NULL), 0);
	resolvers.n = NET_RESOLVERS_MAX + 1;
	assert_int_equal(net_resolvers_check(&resolvers, NULL), -EINVAL);
	resolvers.n = 0;
	assert_int_equal(net_resolvers_check(&resolvers, NULL), 0);
}

static void networks_and_loopbacks(void **state)
{
	struct net_address a;
	struct net_address n;

	(void)state;
	assert_int_equal(net_parse_address("10.1.2.3", &a), 0);
	assert_false(net_is_loopback(&a));
	a.prefix = 20;
	n = net_network_of(&a);
	expect(&n, "10.1.0.0/20");
	assert_int_equal(net_parse_address("127.0.0.53", &a), 0);
	assert_true(net_is_loopback(&a));
	assert_int_equal(net_parse_address("::1", &a), 0);
	assert_true(net_is_loopback(&a));
	assert_int_equal(net_parse_address("::ffff:127.0.0.1", &a), 0);
	assert_true(net_is_loopback(&a));
	assert_int_equal(net_parse_address("::2", &a), 0);
	assert_false(net_is_loopback(&a));
	assert_int_equal(net_parse_address("localhost", &a), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_pool_there_is_nothing),
		cmocka_unit_test(first_and_last_of_both_families),
		cmocka_unit_test(the_smaller_family_decides),
		cmocka_unit_test(a_pool_of_one_network),
		cmocka_unit_test(the_longest_names_fit),
		cmocka_unit_test(shards_begin_behind_a_full_bridge),
		cmocka_unit_test(odd_prefixes_carry),
		cmocka_unit_test(pools_that_make_no_sense),
		cmocka_unit_test(a_plan_from_a_peer_is_checked),
		cmocka_unit_test(texts_that_are_no_pool),
		cmocka_unit_test(resolvers_from_a_peer_are_checked),
		cmocka_unit_test(networks_and_loopbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
