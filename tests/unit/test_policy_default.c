/*
 * policy/profiles/default.json, call by call: what it refuses is written down here a second time,
 * by number. Everything else up to the newest known call must be allowed, so that neither a hole
 * nor a missing call passes unseen.
 */
#include "tests/unit/policy_util.h"

#include <string.h>

#define X86_64	AUDIT_ARCH_X86_64
#define AARCH64 AUDIT_ARCH_AARCH64
#define EPERM_	ERRNO(1)
#define EINVAL_ ERRNO(22)
#define ENOSYS_ ERRNO(38)
#define EPROTO_ ERRNO(93) /* EPROTONOSUPPORT */
#define EAF_	ERRNO(97) /* EAFNOSUPPORT */

/* The newest call in the table below; all above it are unknown. */
#define NEWEST 469u

static struct compiled *x86_64;
static struct compiled *aarch64;

static int setup(void **state)
{
	struct policy_context context = policy_util_context();
	_cleanup_free_ char *text = policy_util_read(POLICY_DIR "/default.json");

	(void)state;
	assert_non_null(text);
	x86_64 = policy_util_compile(text, &context);
	context.native = POLICY_ABI_AARCH64;
	aarch64 = policy_util_compile(text, &context);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	compiled_destroy(x86_64);
	compiled_destroy(aarch64);
	return 0;
}

static uint32_t ask3(uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t args[6] = {a, b, c};

	return policy_util_ask(x86_64, X86_64, number, args);
}

static void has_no_warning(void **state)
{
	(void)state;
	if (x86_64->n_warnings > 0)
		fail_msg("%s", x86_64->warnings[0]);
	if (aarch64->n_warnings > 0)
		fail_msg("%s", aarch64->warnings[0]);
}

/* asm/unistd_64.h and asm-generic/unistd.h; a call that aarch64 lacks has -1 there. */
static const struct {
	const char *name;
	int x86_64, aarch64;
} known_but_refused[] = {
	{"uselib", 134, -1},
	{"ustat", 136, -1},
	{"sysfs", 139, -1},
	{"modify_ldt", 154, -1},
	{"_sysctl", 156, -1},
	{"adjtimex", 159, 171},
	{"acct", 163, 89},
	{"settimeofday", 164, 170},
	{"swapon", 167, 224},
	{"swapoff", 168, 225},
	{"iopl", 172, -1},
	{"ioperm", 173, -1},
	{"init_module", 175, 105},
	{"delete_module", 176, 106},
	{"quotactl", 179, 60},
	{"syslog", 103, 116},
	{"lookup_dcookie", 212, 18},
	{"clock_settime", 227, 112},
	{"kexec_load", 246, 104},
	{"add_key", 248, 217},
	{"request_key", 249, 218},
	{"keyctl", 250, 219},
	{"perf_event_open", 298, 241},
	{"open_by_handle_at", 304, 265},
	{"clock_adjtime", 305, 266},
	{"finit_module", 313, 273},
	{"kexec_file_load", 320, 294},
	{"bpf", 321, 280},
	{"userfaultfd", 323, 282},
	{"quotactl_fd", 443, 443},
	{"memfd_secret", 447, 447},
};

/* Holes in the tables, calls that no kernel has, and those that shall look so. */
static const struct {
	uint32_t first, last;
} x86_64_absent[] = {
	{174, 174}, /* create_module */
	{177, 178}, /* get_kernel_syms, query_module */
	{180, 185}, /* nfsservctl, getpmsg, putpmsg, afs_syscall, tuxcall, security */
	{205, 205}, /* set_thread_area */
	{211, 211}, /* get_thread_area */
	{214, 215}, /* epoll_ctl_old, epoll_wait_old */
	{236, 236}, /* vserver */
	{335, 423}, /* 335 uretprobe, which the kernel lets pass by itself */
	{425, 427}, /* io_uring_setup, io_uring_enter, io_uring_register */
	{435, 435}, /* clone3 */
	{451, 451}, /* cachestat */
	{459, 461}, /* lsm_get_self_attr, lsm_set_self_attr, lsm_list_modules */
	{NEWEST + 1, 0x3fffffff},
};

/* Their answer depends on the arguments; tests of their own below. */
static const int x86_64_conditional[] = {16, 41, 53, 135, 317};

static uint32_t x86_64_expected(uint32_t nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_but_refused); i++)
		if ((uint32_t)known_but_refused[i].x86_64 == nr)
			return EPERM_;
	for (size_t i = 0; i < ARRAY_SIZE(x86_64_absent); i++)
		if (nr >= x86_64_absent[i].first && nr <= x86_64_absent[i].last)
			return ENOSYS_;
	return ALLOW;
}

static void answers_every_x86_64_call(void **state)
{
	unsigned allowed = 0;

	(void)state;
	for (uint32_t nr = 0; nr < 10000; nr++) {
		bool conditional = false;
		uint32_t got = policy_util_ask_plain(x86_64, nr);

		for (size_t i = 0; i < ARRAY_SIZE(x86_64_conditional); i++)
			conditional = conditional || (uint32_t)x86_64_conditional[i] == nr;
		if (!conditional && got != x86_64_expected(nr))
			fail_msg("call %u: %#x", nr, got);
		allowed += !conditional && got == ALLOW;
	}
	assert_int_equal(allowed, x86_64->counts.allow);
	assert_int_equal(x86_64->counts.conditional, ARRAY_SIZE(x86_64_conditional));
	assert_int_equal(policy_util_ask_plain(x86_64, 9999), ENOSYS_);
	assert_int_equal(policy_util_ask_plain(x86_64, 0xffffffff), ENOSYS_);
}

static void answers_alike_on_aarch64(void **state)
{
	static const uint64_t zero[6];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known_but_refused); i++)
		if (known_but_refused[i].aarch64 >= 0)
			assert_int_equal(policy_util_ask(aarch64, AARCH64,
						 (uint32_t)known_but_refused[i].aarch64, zero),
				EPERM_);
	assert_int_equal(policy_util_ask(aarch64, AARCH64, 435, zero), ENOSYS_);
	assert_int_equal(policy_util_ask(aarch64, AARCH64, 425, zero), ENOSYS_);
	assert_int_equal(policy_util_ask(aarch64, AARCH64, 63, zero), ALLOW);  /* read */
	assert_int_equal(policy_util_ask(aarch64, AARCH64, 220, zero), ALLOW); /* clone */
	assert_int_equal(policy_util_ask(aarch64, AARCH64, 40, zero), ALLOW);  /* mount */
	assert_int_equal(policy_util_ask(aarch64, AARCH64, 198, zero), EAF_);  /* socket */
	assert_int_equal(policy_util_ask(aarch64, AUDIT_ARCH_ARM, 3, zero), KILLED);
	for (uint32_t nr = NEWEST + 1; nr < 10000; nr++)
		assert_int_equal(policy_util_ask(aarch64, AARCH64, nr, zero), ENOSYS_);
}

static void kills_i386_and_x32(void **state)
{
	static const uint64_t zero[6];

	(void)state;
	for (uint32_t nr = 0; nr < 1000; nr++) {
		assert_int_equal(policy_util_ask(x86_64, AUDIT_ARCH_I386, nr, zero), KILLED);
		assert_int_equal(policy_util_ask_plain(x86_64, nr | 0x40000000), KILLED);
	}
}

/* What the upper half of a register may hold; the kernel reads an int or unsigned int. */
static const uint64_t high_halves[] = {0, UINT64_C(1) << 32, UINT64_C(0xffffffff) << 32,
	UINT64_C(0xdead) << 32, UINT64_C(1) << 63};

static void refuses_ioctls_on_terminals(void **state)
{
	static const uint32_t refused[] = {0x5412, 0x541c, 0x5423};
	/* Neighbours, TCGETS, TIOCSCTTY, TIOCGPTPEER, FIONREAD, FS_IOC_GETFLAGS. */
	static const uint32_t allowed[] = {0x5411, 0x5413, 0x541b, 0x541d, 0x5422, 0x5424, 0x5401,
		0x540e, 0x5441, 0x541b, 0x80086601, 0, 0xffffffff};

	(void)state;
	for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++) {
		for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
			for (uint64_t fd = 0; fd < 3; fd++)
				assert_int_equal(
					ask3(16, fd, refused[i] | high_halves[h], 0x1234), EPERM_);
		for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
			assert_int_equal(ask3(16, 0, allowed[i] | high_halves[h], 0), ALLOW);
	}
}

static void allows_four_socket_families(void **state)
{
	(void)state;
	for (uint64_t family = 0; family < 300; family++)
		for (uint64_t type = 1; type < 6; type++) {
			bool good = family == 1 || family == 2 || family == 10 || family == 16;

			assert_int_equal(ask3(41, family, type, 0), good ? ALLOW : EAF_);
			assert_int_equal(ask3(53, family, type, 0), family == 1 ? ALLOW : EAF_);
		}
	/* A family with something above it is no family of ours, whatever the kernel reads. */
	for (size_t h = 1; h < ARRAY_SIZE(high_halves); h++)
		for (uint64_t family = 0; family < 47; family++)
			assert_int_equal(ask3(41, family | high_halves[h], 1, 0), EAF_);
}

static void refuses_odd_internet_protocols(void **state)
{
	static const uint32_t refused[] = {33, 115, 132, 256};
	/* Any, ICMP, TCP, UDP, GRE, ESP, ICMPv6, VRRP, UDP-Lite, raw, MPTCP. */
	static const uint32_t allowed[] = {0, 1, 6, 17, 47, 50, 58, 112, 136, 255, 262};

	(void)state;
	for (uint64_t family = 2; family <= 10; family += 8)
		for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++) {
			for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
				for (uint64_t type = 1; type < 6; type++)
					assert_int_equal(
						ask3(41, family, type, refused[i] | high_halves[h]),
						EPROTO_);
			for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
				assert_int_equal(
					ask3(41, family, 1, allowed[i] | high_halves[h]), ALLOW);
		}
}

static void allows_five_netlink_protocols(void **state)
{
	(void)state;
	for (uint64_t protocol = 0; protocol < 64; protocol++) {
		bool good = protocol == 0 || protocol == 4 || protocol == 12 || protocol == 15 ||
			    protocol == 16;

		/* SOCK_RAW, SOCK_DGRAM, with SOCK_CLOEXEC and SOCK_NONBLOCK. */
		assert_int_equal(ask3(41, 16, 3, protocol), good ? ALLOW : EAF_);
		assert_int_equal(ask3(41, 16, 2 | 02004000, protocol), good ? ALLOW : EAF_);
		for (size_t h = 1; h < ARRAY_SIZE(high_halves); h++)
			assert_int_equal(ask3(41, 16, 3, protocol | high_halves[h]), EAF_);
	}
	/* Numbers of other families are no matter: SCTP's and SMC's as netlink protocols. */
	assert_int_equal(ask3(41, 16, 3, 132), EAF_);
	assert_int_equal(ask3(41, 16, 3, 256), EAF_);
	assert_int_equal(ask3(41, 1, 1, 132), ALLOW);
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
		assert_int_equal(ask3(135, allowed[i], 0, 0), ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(ask3(135, refused[i], 0, 0), EPERM_);
}

static void refuses_new_listeners(void **state)
{
	(void)state;
	for (uint64_t op = 0; op < 4; op++)
		for (uint64_t flags = 0; flags < 64; flags++)
			for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++)
				assert_int_equal(ask3(317, op, flags | high_halves[h], 1),
					flags & 8 ? EINVAL_ : ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_no_warning),
		cmocka_unit_test(answers_every_x86_64_call),
		cmocka_unit_test(answers_alike_on_aarch64),
		cmocka_unit_test(kills_i386_and_x32),
		cmocka_unit_test(refuses_ioctls_on_terminals),
		cmocka_unit_test(allows_four_socket_families),
		cmocka_unit_test(refuses_odd_internet_protocols),
		cmocka_unit_test(allows_five_netlink_protocols),
		cmocka_unit_test(allows_listed_personalities),
		cmocka_unit_test(refuses_new_listeners),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
