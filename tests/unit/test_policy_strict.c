/*
 * policy/profiles/strict.json, call by call: files, memory, threads, timers, TCP and UDP, and what
 * starts a program as a user; nothing of an init, a debugger or a distribution.
 */
#include "tests/unit/policy_golden.h"

static const struct golden_call refused[] = {
	{"msgget", 68, 186},
	{"msgsnd", 69, 189},
	{"msgrcv", 70, 188},
	{"msgctl", 71, 187},
	{"ptrace", 101, 117},
	{"vhangup", 153, 58},
	{"pivot_root", 155, 41},
	{"chroot", 161, 51},
	{"sync", 162, 81},
	{"mount", 165, 40},
	{"umount2", 166, 39},
	{"reboot", 169, 142},
	{"sethostname", 170, 161},
	{"setdomainname", 171, 162},
	{"remap_file_pages", 216, 234},
	{"mbind", 237, 235},
	{"set_mempolicy", 238, 237},
	{"mq_open", 240, 180},
	{"mq_unlink", 241, 181},
	{"mq_timedsend", 242, 182},
	{"mq_timedreceive", 243, 183},
	{"mq_notify", 244, 184},
	{"mq_getsetattr", 245, 185},
	{"migrate_pages", 256, 238},
	{"unshare", 272, 97},
	{"tee", 276, 77},
	{"vmsplice", 278, 75},
	{"move_pages", 279, 239},
	{"fanotify_init", 300, 262},
	{"fanotify_mark", 301, 263},
	{"name_to_handle_at", 303, 264},
	{"setns", 308, 268},
	{"process_vm_readv", 310, 270},
	{"process_vm_writev", 311, 271},
	{"kcmp", 312, 272},
	{"open_tree", 428, 428},
	{"move_mount", 429, 429},
	{"fsopen", 430, 430},
	{"fsconfig", 431, 431},
	{"fsmount", 432, 432},
	{"fspick", 433, 433},
	{"pidfd_getfd", 438, 438},
	{"process_madvise", 440, 440},
	{"mount_setattr", 442, 442},
	{"process_mrelease", 448, 448},
	{"set_mempolicy_home_node", 450, 450},
	{"open_tree_attr", 467, 467},
};

static const struct golden_range absent[] = {
	{457, 458}, /* statmount, listmount */
	{463, 466}, /* setxattrat, getxattrat, listxattrat, removexattrat */
	{468, 469}, /* file_getattr, file_setattr */
};

/* ioctl, socket, socketpair, clone, mknod, personality, mknodat, seccomp */
static const int conditional[] = {16, 41, 53, 56, 133, 135, 259, 317};

static const struct golden strict_policy = {
	.file = "strict.json",
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
	return golden_load(&strict_policy);
}

/* What socket(2) answers, by type and protocol, for both versions of IP. */
static uint32_t expected_socket(uint64_t type, uint64_t protocol)
{
	if (type == 3)
		return GOLDEN_EPERM;
	if (type == 10)
		return GOLDEN_EAF;
	if (protocol != 0 && protocol != 6 && protocol != 17)
		return GOLDEN_EPROTO;
	if (type == 1 && protocol != 17)
		return ALLOW;
	if (type == 2 && protocol != 6)
		return ALLOW;
	/* The kernel would refuse these too: a stream of UDP, no such type. */
	return GOLDEN_ENOSYS;
}

static void allows_tcp_and_udp(void **state)
{
	(void)state;
	for (uint64_t family = 2; family <= 10; family += 8)
		for (uint64_t type = 0; type < 16; type++)
			for (uint64_t protocol = 0; protocol < 300; protocol++)
				for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
					uint64_t flags = 02004000 | golden_high_halves[h];
					uint32_t want = expected_socket(type, protocol);

					assert_int_equal(
						golden_ask(41, family, type, protocol), want);
					assert_int_equal(
						golden_ask(41, family, type | flags, protocol),
						want);
				}
	/* A protocol with something above it is none of ours, whatever the kernel reads. */
	for (size_t h = 1; h < ARRAY_SIZE(golden_high_halves); h++)
		assert_int_equal(golden_ask(41, 2, 1, 6 | golden_high_halves[h]), GOLDEN_EPROTO);
}

static void allows_other_sockets(void **state)
{
	(void)state;
	for (uint64_t type = 1; type < 6; type++)
		assert_int_equal(golden_ask(41, 1, type, 0), ALLOW);
	for (uint64_t protocol = 0; protocol < 300; protocol++)
		for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
			uint64_t p = protocol | golden_high_halves[h];

			assert_int_equal(golden_ask(41, 16, 3, p), p == 0 ? ALLOW : GOLDEN_EAF);
		}
}

static void allows_no_other_personality(void **state)
{
	static const uint64_t other[] = {
		1, 8, 0x20000, 0x20008, 0x40000, 0x400000, 0xfffffffe, 0x100000000};

	(void)state;
	assert_int_equal(golden_ask(135, 0, 0, 0), ALLOW);
	assert_int_equal(golden_ask(135, 0xffffffff, 0, 0), ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		assert_int_equal(golden_ask(135, other[i], 0, 0), GOLDEN_EPERM);
}

/* What runtimes and databases cannot do without. */
static void lets_an_application_run(void **state)
{
	static const uint32_t needed[] = {202 /* futex */, 291 /* epoll_create1 */,
		105 /* setuid, of an entrypoint */, 126 /* capset */,
		29 /* shmget, of PostgreSQL */, 206 /* io_setup, of MySQL */,
		149 /* mlock, of Redis */, 434 /* pidfd_open, of Go */, 319 /* memfd_create */,
		330 /* pkey_alloc, of V8 */, 324 /* membarrier */, 334 /* rseq */,
		318 /* getrandom */, 322 /* execveat */};

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
		cmocka_unit_test(allows_tcp_and_udp),
		cmocka_unit_test(allows_other_sockets),
		cmocka_unit_test(allows_no_other_personality),
		cmocka_unit_test(lets_an_application_run),
	};

	return cmocka_run_group_tests(tests, setup, golden_unload);
}
