/* base/net_refusal.h: which counters are whose. */
#include "base/net_refusal.h"

#include "tests/unit/unit.h"

#include <errno.h>

static void names_are_read(void **state)
{
	struct net_refusal r;

	(void)state;
	assert_int_equal(net_refusal_parse("t17_smtp", &r), 0);
	assert_int_equal(r.network, 17);
	assert_int_equal(r.reason, NET_REFUSED_SMTP);
	assert_int_equal(net_refusal_parse("spoofed_arp", &r), 0);
	assert_int_equal(r.network, 0);
	assert_string_equal(net_refusal_name(r.reason), "spoofed_arp");
	assert_int_equal(net_refusal_parse("t3_opened_smtp", &r), 0);
	assert_int_equal(r.network, 3);
	assert_int_equal(r.reason, NET_OPENED_SMTP);
	for (uint32_t reason = 0; reason < NET_COUNTED_N; reason++)
		assert_non_null(net_refusal_name(reason));
	assert_null(net_refusal_name(NET_COUNTED_N));
}

static void others_are_not(void **state)
{
	static const char *const names[] = {"", "t", "t1", "t1_", "t0_smtp", "t1_spoofed_arp",
		"smtp", "opened", "t99999999999_smtp", "t1x_smtp", "t1_smtp2", "midstream"};
	struct net_refusal r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (net_refusal_parse(names[i], &r) != -ENOENT)
			fail_msg("\"%s\" is read", names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read),
		cmocka_unit_test(others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
