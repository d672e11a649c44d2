/*
 * policy/profiles/shell.json, call by call: no mounts, no namespaces, no raw sockets, no devices;
 * init, logins, sshd and what users run go on.
 */
#include "tests/unit/policy_golden.h"

#include <linux/sched.h>

static const struct golden_call refused[] = {
	{"pivot_root", 155, 41},
	{"mount", 165, 40},
	{"umount2", 166, 39},
	{"setns", 308, 268},
	{"open_tree", 428, 428},
	{"move_mount", 429, 429},
	{"fsopen", 430, 430},
	{"fsconfig", 431, 431},
	{"fsmount", 432, 432},
	{"fspick", 433, 433},
	{"mount_setattr", 442, 442},
	{"open_tree_attr", 467, 467},
	{"remap_file_pages", 216, 234},
	{"mbind", 237, 235},
	{"set_mempolicy", 238, 237},
	{"migrate_pages", 256, 238},
	{"vmsplice", 278, 75},
	{"move_pages", 279, 239},
	{"fanotify_init", 300, 262},
	{"fanotify_mark", 301, 263},
	{"kcmp", 312, 272},
	{"pidfd_getfd", 438, 438},
	{"process_madvise", 440, 440},
	{"process_mrelease", 448, 448},
	{"set_mempolicy_home_node", 450, 450},
};

static const struct golden_range absent[] = {
	{457, 458}, /* statmount, listmount */
};

/* ioctl, socket, socketpair, clone, mknod, personality, mknodat, unshare, seccomp */
static const int conditional[] = {16, 41, 53, 56, 133, 135, 259, 272, 317};

static const struct golden shell_policy = {
	.file = "shell.json",
	.refused = refused,
	.n_refused = ARRAY_SIZE(refused),
	.absent = absent,
	.n_absent = ARRAY_SIZE(absent),
	.conditional = conditional,
	.n_conditional = ARRAY_SIZE(conditional),
};

static int setup(void **state)
{
	(void)state;
	return golden_load(&shell_policy);
}

static void refuses_namespaces_of_unshare(void **state)
{
	static const uint64_t namespaces[] = {0x80 /* NEWTIME */, CLONE_NEWNS, CLONE_NEWCGROUP,
		CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};
	static const uint64_t plain[] = {0, CLONE_FS, CLONE_FILES, CLONE_FS | CLONE_FILES,
		CLONE_SYSVSEM, CLONE_THREAD, CLONE_SIGHAND, CLONE_VM};
	/* Flags that no kernel of today has, or that mean nothing here. */
	static const uint64_t unknown[] = {1, 0x1000, 0x100000, UINT64_C(1) << 32};

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(plain); p++) {
		assert_int_equal(golden_ask(272, plain[p], 0, 0), ALLOW);
		assert_int_equal(golden_ask_aarch64(97, plain[p], 0, 0), ALLOW);
		for (size_t n = 0; n < ARRAY_SIZE(namespaces); n++)
			for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
				uint64_t flags = plain[p] | namespaces[n] | golden_high_halves[h];

				assert_int_equal(golden_ask(272, flags, 0, 0), GOLDEN_EPERM);
			}
		for (size_t u = 0; u < ARRAY_SIZE(unknown); u++)
			assert_int_equal(
				golden_ask(272, plain[p] | unknown[u], 0, 0), GOLDEN_ENOSYS);
	}
}

static void refuses_raw_sockets(void **state)
{
	(void)state;
	for (uint64_t protocol = 0; protocol < 256; protocol++)
		for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++)
			for (uint64_t flags = 0; flags <= 02004000; flags += 02004000) {
				uint64_t high = golden_high_halves[h];
				bool odd = protocol == 33 || protocol == 115 || protocol == 132;

				/* Of two errors the first in the file holds: that of raw ones. */
				assert_int_equal(golden_ask(41, 2, 3 | flags | high, protocol),
					GOLDEN_EPERM);
				assert_int_equal(golden_ask(41, 10, 3 | flags | high, protocol),
					GOLDEN_EPERM);
				assert_int_equal(golden_ask(41, 2, 1 | flags | high, protocol),
					odd ? GOLDEN_EPROTO : ALLOW);
				assert_int_equal(golden_ask(41, 10, 2 | flags | high, protocol),
					odd ? GOLDEN_EPROTO : ALLOW);
			}
	assert_int_equal(golden_ask(41, 1, 3, 0), ALLOW); /* AF_UNIX has no raw ones */
	assert_int_equal(golden_ask(41, 2, 1, 256), GOLDEN_EPROTO);
}

static void allows_one_netlink_protocol(void **state)
{
	(void)state;
	for (uint64_t type = 2; type < 4; type++)
		for (uint64_t protocol = 0; protocol < 300; protocol++)
			for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
				uint64_t p = protocol | golden_high_halves[h];

				assert_int_equal(golden_ask(41, 16, type | 02000000, p),
					p == 0 ? ALLOW : GOLDEN_EAF);
			}
}

static void allows_listed_personalities(void **state)
{
	static const uint64_t allowed[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
	static const uint64_t other[] = {1, 7, 9, 0x40000, 0x400000, 0x200000, 0x68, 0xfffffffe};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		assert_int_equal(golden_ask(135, allowed[i], 0, 0), ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		assert_int_equal(golden_ask(135, other[i], 0, 0), GOLDEN_EPERM);
}

/* What an init, getty, sshd and a debugger cannot do without. */
static void lets_a_shell_service_run(void **state)
{
	static const uint32_t needed[] = {161 /* chroot */, 153 /* vhangup */, 169 /* reboot */,
		170 /* sethostname */, 101 /* ptrace */, 105 /* setuid */, 116 /* setgroups */,
		160 /* setrlimit */, 254 /* inotify_add_watch */, 444 /* landlock */};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		assert_int_equal(golden_ask(needed[i], 0, 0, 0), ALLOW);
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
		cmocka_unit_test(golden_refuses_namespaces_of_clone),
		cmocka_unit_test(golden_refuses_device_nodes),
		cmocka_unit_test(refuses_namespaces_of_unshare),
		cmocka_unit_test(refuses_raw_sockets),
		cmocka_unit_test(allows_one_netlink_protocol),
		cmocka_unit_test(allows_listed_personalities),
		cmocka_unit_test(lets_a_shell_service_run),
	};

	return cmocka_run_group_tests(tests, setup, golden_unload);
}
