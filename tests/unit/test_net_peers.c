/* sandbox/net_peers.h: whom one is connected with, summed up within fixed bounds. */
#include "tests/unit/unit.h"

#include "sandbox/net_peers.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct net_contact contact(uint32_t peer, uint16_t port, uint64_t sent)
{
	struct net_contact c = {.size = 4, .protocol = IPPROTO_TCP, .port = port, .sent = sent};

	memcpy(c.address, &peer, sizeof(peer));
	return c;
}

static void peers_and_services_add_up(void **state)
{
	struct net_contact list[] = {contact(1, 443, 10), contact(2, 22, 1), contact(1, 443, 20),
		contact(2, 443, 5), contact(1, 22, 0)};
	struct net_peers sum = {0};

	(void)state;
	list[4].incoming = 1;
	net_peers_sum(list, 5, &sum);
	assert_int_equal(sum.n, 4);
	assert_int_equal(sum.list[0].port, 443);
	assert_int_equal(sum.list[0].connections, 2);
	assert_int_equal(sum.list[0].sent, 30);
	assert_int_equal(sum.list[0].address.bytes[0], 1);
	assert_int_equal(sum.list[1].sent, 5);
	assert_int_equal(sum.list[3].incoming, 1);
	/* What one called and what another called here are two, though of one port. */
	assert_int_equal(sum.n_services, 3);
	assert_int_equal(sum.services[0].port, 443);
	assert_int_equal(sum.services[0].peers, 2);
	assert_int_equal(sum.services[0].connections, 3);
	assert_int_equal(sum.services[0].sent, 35);
	assert_int_equal(sum.services[0].address.size, 0);
}

/* A scan: one service, each address once. */
static void a_scan_is_one_service(void **state)
{
	const uint32_t n = 50000;
	struct net_contact *list = calloc(n, sizeof(*list));
	struct net_peers sum = {0};

	(void)state;
	assert_non_null(list);
	for (uint32_t i = 0; i < n; i++)
		list[i] = contact(i * 2654435761u, 22, 0);
	net_peers_sum(list, n, &sum);
	free(list);
	assert_int_equal(sum.n, NET_PEERS_MAX);
	assert_int_equal(sum.n_services, 1);
	assert_int_equal(sum.services[0].peers, n);
	assert_int_equal(sum.services[0].connections, n);
}

static void those_with_most_are_kept(void **state)
{
	const uint16_t n = 100;
	struct net_contact list[100];
	struct net_peers sum = {0};

	(void)state;
	for (uint16_t i = 0; i < n; i++)
		list[i] = contact(i % 7u, i, (i * 37u) % 100);
	net_peers_sum(list, n, &sum);
	assert_int_equal(sum.n, NET_PEERS_MAX);
	assert_int_equal(sum.n_services, NET_SERVICES_MAX);
	for (uint32_t i = 0; i < sum.n; i++)
		assert_int_equal(sum.list[i].sent, 99 - i);
	for (uint32_t i = 0; i < sum.n_services; i++)
		assert_int_equal(sum.services[i].sent, 99 - i);
}

static void nobody_is_nobody(void **state)
{
	struct net_peers sum = {0};

	(void)state;
	net_peers_sum(NULL, 0, &sum);
	assert_int_equal(sum.n + sum.n_services, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers_and_services_add_up),
		cmocka_unit_test(a_scan_is_one_service),
		cmocka_unit_test(those_with_most_are_kept),
		cmocka_unit_test(nobody_is_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
