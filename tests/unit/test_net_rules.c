/*
 * The rules' input at its borders, and the text made of it: a container is elements and no rule,
 * whatever is wrong in a row refuses all of it. The fuzzing function sees the same and its parts.
 */
#include "sandbox/net_rules.h"

#include "sandbox/net/text.h"
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>

#define ROWS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct input {
	struct net_header header;
	struct net_row rows[ROWS_MAX];
} input;

static void begin(enum net_op op)
{
	struct net_plan *plan = &input.header.plan;

	memset(&input, 0, sizeof(input));
	input.header.magic = NET_RULES_MAGIC;
	input.header.version = NET_RULES_VERSION;
	input.header.op = op;
	net_plan_init(plan);
	assert_int_equal(net_parse_pool("10.80.0.0/12", &plan->ipv4.base), 0);
	assert_int_equal(net_parse_pool("fd80:cf::/48", &plan->ipv6.base), 0);
}

static struct net_row *row(enum net_row_kind kind, uint32_t tenant, uint32_t slot)
{
	struct net_row *r = &input.rows[input.header.n_rows++];

	*r = (struct net_row){.kind = kind, .tenant = tenant, .slot = slot};
	if (kind == NET_TENANT)
		r->u.caps = (struct net_caps){.flows = 500, .packets = 1000, .connections = 2000};
	if (kind == NET_FORWARD)
		r->u.forward = (struct net_forward){.first = 8080,
			.last = 8080,
			.to = 80,
			.protocol = IPPROTO_TCP,
			.family = 4};
	return r;
}

static size_t size(void)
{
	return sizeof(input.header) + input.header.n_rows * sizeof(struct net_row);
}

static int parse(void)
{
	struct net_rules rules = {.rows = NULL};
	struct err err = {0};
	int r = net_rules_parse(&input, size(), &rules, &err);

	if (r < 0) {
		assert_int_equal(r, -EINVAL);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_null(rules.rows);
	}
	return r;
}

static char *text(void)
{
	struct net_rules rules;
	struct err err;
	char *out;

	assert_int_equal(net_rules_parse(&input, size(), &rules, &err), 0);
	assert_int_equal(text_build(&rules, NULL, &out, &err), 0);
	return out;
}

/* A tenant with two containers and a forward of each kind. */
static void begin_usual(enum net_op op)
{
	begin(op);
	row(NET_TENANT, 1, 0);
	row(NET_CONTAINER, 1, 1);
	row(NET_CONTAINER, 1, 2);
	row(NET_FORWARD, 1, 1);
	row(NET_FORWARD, 1, 2)->u.forward.protocol = IPPROTO_UDP;
}

static unsigned count(const char *haystack, const char *needle)
{
	unsigned n = 0;

	for (const char *p = strstr(haystack, needle); p; p = strstr(p + 1, needle))
		n++;
	return n;
}

static void usual_rows_are_taken(void **state)
{
	(void)state;
	for (enum net_op op = NET_REPLACE; op <= NET_FORGET; op++) {
		begin_usual(op);
		assert_int_equal(parse(), 0);
	}
	begin(NET_DROP);
	assert_int_equal(parse(), 0);
}

static void the_whole_must_fit(void **state)
{
	struct net_rules rules;
	struct err err;

	(void)state;
	begin_usual(NET_REPLACE);
	for (size_t n = 0; n < size(); n++)
		assert_int_equal(net_rules_parse(&input, n, &rules, &err), -EINVAL);
	assert_int_equal(net_rules_parse(&input, size() + 1, &rules, &err), -EINVAL);
	input.header.magic++;
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_REPLACE);
	input.header.version++;
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_DROP);
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_DROP + 1);
	assert_int_equal(parse(), -EINVAL);
	begin_usual(0);
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_REPLACE);
	memcpy(input.header.plan.prefix_name, "a\"b", 4);
	assert_int_equal(parse(), -EINVAL);
}

/* No bit of a row may be set that is not checked: each one flipped is refused or means something.
 */
static void every_unused_byte_is_zero(void **state)
{
	static const struct {
		enum net_row_kind kind;
		size_t first;
		size_t last;
	} unused[] = {
		{NET_TENANT, offsetof(struct net_row, slot), offsetof(struct net_row, zero) + 3},
		{NET_TENANT, offsetof(struct net_row, u.caps.zero), sizeof(struct net_row) - 1},
		{NET_CONTAINER, offsetof(struct net_row, zero), sizeof(struct net_row) - 1},
		{NET_FORWARD, offsetof(struct net_row, zero), offsetof(struct net_row, u) - 1},
		{NET_FORWARD, offsetof(struct net_row, u.forward.listen),
			sizeof(struct net_row) - 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unused); i++) {
		for (size_t at = unused[i].first; at <= unused[i].last; at++) {
			begin(NET_ADD);
			row(unused[i].kind, 1, unused[i].kind == NET_TENANT ? 0 : 1);
			assert_int_equal(parse(), 0);
			((uint8_t *)input.rows)[at] ^= 1;
			assert_int_equal(parse(), -EINVAL);
		}
	}
}

static void caps_and_numbers_have_bounds(void **state)
{
	static const struct {
		size_t offset;
		uint32_t max;
	} fields[] = {
		{offsetof(struct net_row, u.caps.flows), NET_FLOWS_MAX},
		{offsetof(struct net_row, u.caps.packets), NET_PACKETS_MAX},
		{offsetof(struct net_row, u.caps.connections), NET_CONNECTIONS_MAX},
		{offsetof(struct net_row, tenant), 4096},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		begin(NET_REPLACE);
		uint32_t *field = (void *)((uint8_t *)row(NET_TENANT, 1, 0) + fields[i].offset);

		*field = fields[i].max;
		assert_int_equal(parse(), 0);
		*field = fields[i].max + 1;
		assert_int_equal(parse(), -EINVAL);
		*field = 0;
		assert_int_equal(parse(), -EINVAL);
	}
	begin_usual(NET_ADD);
	input.rows[1].slot = 253;
	assert_int_equal(parse(), 0);
	input.rows[1].slot = 254; /* broadcast */
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_ADD);
	input.rows[1].kind = NET_COUNTED + 1;
	assert_int_equal(parse(), -EINVAL);
}

/* Of no tenant that there need be, in a place that must be one, once, and of no rule. */
static void what_is_counted_is_a_place(void **state)
{
	_cleanup_free_ char *with = NULL;
	_cleanup_free_ char *without = NULL;

	(void)state;
	begin_usual(NET_REPLACE);
	without = text();
	row(NET_COUNTED, 2, 9);
	assert_int_equal(parse(), 0);
	with = text();
	assert_string_equal(with, without);
	row(NET_COUNTED, 1, 1);
	assert_int_equal(parse(), 0);
	row(NET_COUNTED, 1, 1);
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_REPLACE);
	row(NET_COUNTED, 2, 254);
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_REPLACE);
	row(NET_COUNTED, 2, 9)->u.bytes[31] = 1;
	assert_int_equal(parse(), -EINVAL);
}

static void expect_forward(int expected, struct net_forward forward)
{
	begin(NET_ADD);
	row(NET_FORWARD, 1, 1)->u.forward = forward;
	assert_int_equal(parse(), expected);
}

static void forwards_are_ranges_that_fit(void **state)
{
	struct net_forward good = {
		.first = 1000, .last = 1010, .to = 1, .protocol = IPPROTO_UDP, .family = 6};
	struct net_forward f;

	(void)state;
	expect_forward(0, good);
	f = good;
	f.first = 0;
	expect_forward(-EINVAL, f);
	f = good;
	f.last = 999;
	expect_forward(-EINVAL, f);
	f = good;
	f.to = 0;
	expect_forward(-EINVAL, f);
	f = good;
	f.to = 65525;
	expect_forward(0, f);
	f.to = 65526;
	expect_forward(-EINVAL, f);
	f = good;
	f.last = 1000 + NET_FORWARD_PORTS_MAX - 1;
	expect_forward(0, f);
	f.last++;
	expect_forward(-EINVAL, f);
	f = good;
	f.protocol = IPPROTO_ICMP;
	expect_forward(-EINVAL, f);
	f = good;
	f.family = 5;
	expect_forward(-EINVAL, f);
}

static void forwards_listen_on_the_hosts_addresses(void **state)
{
	struct net_forward f = {
		.first = 1, .last = 1, .to = 1, .protocol = IPPROTO_UDP, .family = 6};

	(void)state;
	assert_int_equal(net_parse_address("2001:db8::1", &f.listen), 0);
	f.listen.prefix = 0;
	expect_forward(0, f);
	f.family = 4;
	expect_forward(-EINVAL, f);
	assert_int_equal(net_parse_address("192.0.2.1", &f.listen), 0);
	f.listen.prefix = 0;
	expect_forward(0, f);
	f.listen.prefix = 24;
	expect_forward(-EINVAL, f);
	assert_int_equal(net_parse_address("127.0.0.1", &f.listen), 0);
	f.listen.prefix = 0;
	expect_forward(-EINVAL, f);
	begin(NET_ADD);
	memset(&input.header.plan.ipv6.base, 0, sizeof(input.header.plan.ipv6.base));
	row(NET_FORWARD, 1, 1);
	assert_int_equal(parse(), 0);
	input.rows[0].u.forward.family = 6;
	assert_int_equal(parse(), -EINVAL);
}

static void nothing_comes_twice(void **state)
{
	struct net_row *r;

	(void)state;
	begin_usual(NET_ADD);
	row(NET_TENANT, 1, 0);
	assert_int_equal(parse(), -EINVAL);
	begin_usual(NET_ADD);
	row(NET_CONTAINER, 1, 2);
	assert_int_equal(parse(), -EINVAL);
	/* Another container's forward of the last port of a range. */
	begin_usual(NET_ADD);
	input.rows[3].u.forward.last = 8090;
	r = row(NET_FORWARD, 1, 2);
	r->u.forward.first = r->u.forward.last = 8090;
	assert_int_equal(parse(), -EINVAL);
	r->u.forward.first = r->u.forward.last = 8091;
	assert_int_equal(parse(), 0);
	/* One address beside all of them: the narrower one holds. */
	r->u.forward.first = r->u.forward.last = 8090;
	assert_int_equal(net_parse_address("192.0.2.1", &r->u.forward.listen), 0);
	r->u.forward.listen.prefix = 0;
	assert_int_equal(parse(), 0);
}

static void a_whole_set_has_every_owner(void **state)
{
	(void)state;
	begin_usual(NET_REPLACE);
	assert_int_equal(parse(), 0);
	row(NET_CONTAINER, 2, 1);
	assert_int_equal(parse(), -EINVAL);
	input.header.op = NET_ADD;
	assert_int_equal(parse(), 0);
	begin_usual(NET_REPLACE);
	row(NET_FORWARD, 1, 3)->u.forward.first = 8000;
	input.rows[5].u.forward.last = 8000;
	assert_int_equal(parse(), -EINVAL);
}

static void containers_are_elements(void **state)
{
	_cleanup_free_ char *one = NULL;
	_cleanup_free_ char *many = NULL;

	(void)state;
	begin_usual(NET_REPLACE);
	one = text();
	for (uint32_t slot = 3; slot < 50; slot++)
		row(NET_CONTAINER, 1, slot);
	many = text();
	assert_int_equal(count(many, "add rule"), count(one, "add rule"));
	assert_int_equal(count(many, "add element"), count(one, "add element"));
	assert_int_equal(count(many, "\"cft1-49\""), count(one, "\"cft1-2\""));
	assert_true(count(one, "\"cft1-2\"") > 5);
}

static void a_range_is_shifted_port_by_port(void **state)
{
	_cleanup_free_ char *out = NULL;
	struct net_row *r;

	(void)state;
	begin(NET_ADD);
	r = row(NET_FORWARD, 1, 1);
	r->u.forward.last = 8082;
	out = text();
	assert_non_null(strstr(out, "forward4_any { 6 . 8080 : 10.80.0.2 . 80, 6 . 8081 : "
				    "10.80.0.2 . 81, 6 . 8082 : 10.80.0.2 . 82 }"));
}

static void only_private_addresses_are_hidden(void **state)
{
	static const struct {
		const char *ipv4;
		const char *ipv6;
		unsigned hidden;
	} pools[] = {
		{"10.0.0.0/8", "fd00::/16", 2},
		{"172.31.0.0/16", "2001:db8::/32", 1},
		{"172.32.0.0/16", "2001:db8::/32", 0},
		{"192.168.0.0/16", "2001:db8::/32", 1},
		{"100.64.0.0/10", "2001:db8::/32", 1},
		{"100.0.0.0/10", "fc00::/16", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pools); i++) {
		_cleanup_free_ char *out = NULL;
		struct net_plan *plan;

		begin(NET_REPLACE);
		plan = &input.header.plan;
		assert_int_equal(net_parse_pool(pools[i].ipv4, &plan->ipv4.base), 0);
		assert_int_equal(net_parse_pool(pools[i].ipv6, &plan->ipv6.base), 0);
		out = text();
		assert_int_equal(count(out, "masquerading meta nfproto"), pools[i].hidden);
		assert_int_equal(count(out, "counter name unasked"), pools[i].hidden);
	}
}

static void removing_names_what_was_added(void **state)
{
	_cleanup_free_ char *out = NULL;

	(void)state;
	begin_usual(NET_REMOVE);
	out = text();
	assert_int_equal(count(out, "delete element"), count(out, "add element"));
	assert_int_equal(count(out, "_count"), 0);
	assert_int_equal(count(out, "delete chain"), 3);
}

static void the_fuzzing_function_agrees(void **state)
{
	uint8_t data[1 + sizeof(input)];

	(void)state;
	for (enum net_op op = NET_REPLACE; op <= NET_DROP; op++) {
		begin_usual(op);
		for (size_t cut = 0; cut <= size(); cut++) {
			data[0] = cut & 1;
			memcpy(data + 1, &input, cut);
			LLVMFuzzerTestOneInput(data, cut + 1);
		}
		for (size_t at = 0; at < size(); at++) {
			data[0] = 1;
			memcpy(data + 1, &input, size());
			data[1 + at] ^= 0xff;
			LLVMFuzzerTestOneInput(data, size() + 1);
			data[1 + at] ^= 0xfe;
			LLVMFuzzerTestOneInput(data, size() + 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_rows_are_taken),
		cmocka_unit_test(the_whole_must_fit),
		cmocka_unit_test(every_unused_byte_is_zero),
		cmocka_unit_test(caps_and_numbers_have_bounds),
		cmocka_unit_test(what_is_counted_is_a_place),
		cmocka_unit_test(forwards_are_ranges_that_fit),
		cmocka_unit_test(forwards_listen_on_the_hosts_addresses),
		cmocka_unit_test(nothing_comes_twice),
		cmocka_unit_test(a_whole_set_has_every_owner),
		cmocka_unit_test(containers_are_elements),
		cmocka_unit_test(a_range_is_shifted_port_by_port),
		cmocka_unit_test(only_private_addresses_are_hidden),
		cmocka_unit_test(removing_names_what_was_added),
		cmocka_unit_test(the_fuzzing_function_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
