/*
 * policy/profiles/default.json, call by call: it refuses what all of Croft's policies refuse, and
 * nothing else.
 */
#include "tests/unit/policy_golden.h"

static const int conditional[] = {16, 41, 53, 135, 317};

static const struct golden default_policy = {
	.file = "default.json",
	.conditional = conditional,
	.n_conditional = ARRAY_SIZE(conditional),
};

static int setup(void **state)
{
	(void)state;
	return golden_load(&default_policy);
}

/* Raw ones too: what they may do is a matter of the container's own network. */
static void allows_four_socket_families(void **state)
{
	static const uint64_t families[] = {1, 2, 10, 16};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		for (uint64_t type = 1; type < 6; type++)
			assert_int_equal(golden_ask(41, families[i], type, 0), ALLOW);
}

static void refuses_odd_internet_protocols(void **state)
{
	static const uint32_t refused[] = {33, 115, 132, 256};
	/* Any, ICMP, TCP, UDP, GRE, ESP, ICMPv6, VRRP, UDP-Lite, raw, MPTCP. */
	static const uint32_t allowed[] = {0, 1, 6, 17, 47, 50, 58, 112, 136, 255, 262};

	(void)state;
	for (uint64_t family = 2; family <= 10; family += 8)
		for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
			for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
				for (uint64_t type = 1; type < 6; type++)
					assert_int_equal(
						golden_ask(41, family, type,
							refused[i] | golden_high_halves[h]),
						GOLDEN_EPROTO);
			for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
				assert_int_equal(golden_ask(41, family, 1,
							 allowed[i] | golden_high_halves[h]),
					ALLOW);
		}
}

static void allows_five_netlink_protocols(void **state)
{
	(void)state;
	for (uint64_t protocol = 0; protocol < 64; protocol++) {
		bool good = protocol == 0 || protocol == 4 || protocol == 12 || protocol == 15 ||
			    protocol == 16;

		/* SOCK_RAW, SOCK_DGRAM, with SOCK_CLOEXEC and SOCK_NONBLOCK. */
		assert_int_equal(golden_ask(41, 16, 3, protocol), good ? ALLOW : GOLDEN_EAF);
		assert_int_equal(
			golden_ask(41, 16, 2 | 02004000, protocol), good ? ALLOW : GOLDEN_EAF);
		for (size_t h = 1; h < ARRAY_SIZE(golden_high_halves); h++)
			assert_int_equal(golden_ask(41, 16, 3, protocol | golden_high_halves[h]),
				GOLDEN_EAF);
	}
	/* Numbers of other families are no matter: SCTP's and SMC's as netlink protocols. */
	assert_int_equal(golden_ask(41, 16, 3, 132), GOLDEN_EAF);
	assert_int_equal(golden_ask(41, 16, 3, 256), GOLDEN_EAF);
	assert_int_equal(golden_ask(41, 1, 1, 132), ALLOW);
}

static void allows_listed_personalities(void **state)
{
	static const uint64_t allowed[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
	/* ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, ADDR_COMPAT_LAYOUT, PER_SVR4 and what lies near. */
	static const uint64_t refused[] = {1, 7, 9, 0x40000, 0x400000, 0x200000, 0x68, 0x1ffff,
		0x20001, 0x20007, 0x20009, 0xfffffffe, 0x100000000, 0x100000008, 0xffffffffffffffff,
		0x5ffffffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		assert_int_equal(golden_ask(135, allowed[i], 0, 0), ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(golden_ask(135, refused[i], 0, 0), GOLDEN_EPERM);
}

/* A distribution's init may do what the two other policies refuse. */
static void allows_mounts_and_namespaces(void **state)
{
	(void)state;
	assert_int_equal(golden_ask(165, 0, 0, 0), ALLOW);	     /* mount */
	assert_int_equal(golden_ask(272, 0x7e020080, 0, 0), ALLOW);  /* unshare */
	assert_int_equal(golden_ask(56, 0x7e020011, 0, 0), ALLOW);   /* clone */
	assert_int_equal(golden_ask(133, 0, 0020000, 0x103), ALLOW); /* mknod */
	assert_int_equal(golden_ask_aarch64(40, 0, 0, 0), ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_has_no_warning),
		cmocka_unit_test(golden_answers_every_x86_64_call),
		cmocka_unit_test(golden_answers_alike_on_aarch64),
		cmocka_unit_test(golden_kills_i386_and_x32),
		cmocka_unit_test(golden_refuses_ioctls_on_terminals),
		cmocka_unit_test(golden_refuses_new_listeners),
		cmocka_unit_test(golden_refuses_other_socket_families),
		cmocka_unit_test(allows_four_socket_families),
		cmocka_unit_test(refuses_odd_internet_protocols),
		cmocka_unit_test(allows_five_netlink_protocols),
		cmocka_unit_test(allows_listed_personalities),
		cmocka_unit_test(allows_mounts_and_namespaces),
	};

	return cmocka_run_group_tests(tests, setup, golden_unload);
}
