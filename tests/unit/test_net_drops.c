/* sandbox/net_drops.h: whose queue an interface is, by its name. */
#include "sandbox/net_drops.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct net_plan make(void)
{
	struct net_plan plan;
	struct err err;

	net_plan_init(&plan);
	assert_int_equal(net_parse_pool("10.80.0.0/12", &plan.ipv4.base), 0);
	assert_int_equal(net_plan_check(&plan, &err), 0);
	return plan;
}

static void expect(const struct net_plan *plan, const char *name, uint32_t network, uint32_t slot)
{
	char queue[NET_IFNAME_SIZE];
	struct net_refusal owner;

	assert_int_equal(net_drops_owner(plan, name, &owner), 0);
	assert_int_equal(owner.network, network);
	assert_int_equal(owner.slot, slot);
	assert_int_equal(owner.reason, NET_DROPPED_IN);
	snprintf(queue, sizeof(queue), "%.14so", name);
	assert_int_equal(net_drops_owner(plan, queue, &owner), 0);
	assert_int_equal(owner.network, network);
	assert_int_equal(owner.slot, slot);
	assert_int_equal(owner.reason, NET_DROPPED_OUT);
}

static void names_say_whose(void **state)
{
	struct net_plan plan = make();
	const uint32_t networks[] = {1, 10, net_plan_networks(&plan)};
	const uint32_t slots[] = {1, 10, net_plan_slots(&plan)};
	struct net_network network;
	struct net_place place;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(networks); i++) {
		assert_int_equal(net_plan_network(&plan, networks[i], &network), 0);
		expect(&plan, network.bridge, networks[i], 0);
		for (size_t j = 0; j < ARRAY_SIZE(slots); j++) {
			assert_int_equal(net_plan_place(&plan, networks[i], slots[j], &place), 0);
			expect(&plan, place.port, networks[i], slots[j]);
		}
	}
}

static void others_are_nobodys(void **state)
{
	static const char *const endings[] = {"", "o", "0", "x", "1x", "1-", "1-0", "1-x", "01",
		"1-01", "-1", "99999", "1-99999", "1b", "1oo", "1-1b", "1-1-1", " 1"};
	struct net_plan plan = make();
	struct net_refusal owner;
	char name[NET_IFNAME_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		snprintf(name, sizeof(name), "%.4s%s", plan.prefix_name, endings[i]);
		if (net_drops_owner(&plan, name, &owner) != -ENOENT)
			fail_msg("\"%s\" is somebody's", name);
	}
	assert_int_equal(net_drops_owner(&plan, "eth0", &owner), -ENOENT);
	assert_int_equal(net_drops_owner(&plan, "lo", &owner), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_say_whose),
		cmocka_unit_test(others_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
