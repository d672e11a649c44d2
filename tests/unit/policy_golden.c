/* Asks a policy about every call there is; see policy_golden.h. */
#include "tests/unit/policy_golden.h"

#include <linux/sched.h>
#include <string.h>
#include <sys/stat.h>

/* The newest call in the tables below; all above it are unknown. */
#define NEWEST 469u

const uint64_t golden_high_halves[5] = {0, UINT64_C(1) << 32, UINT64_C(0xffffffff) << 32,
	UINT64_C(0xdead) << 32, UINT64_C(1) << 63};

static const struct golden *golden;
static struct compiled *x86_64;
static struct compiled *aarch64;

/* asm/unistd_64.h and asm-generic/unistd.h. No policy of Croft's allows these. */
static const struct golden_call refused_by_all[] = {
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
static const struct golden_range absent_in_all[] = {
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

int golden_load(const struct golden *tested)
{
	struct policy_context context = policy_util_context();
	_cleanup_free_ char *text = NULL;
	char path[512];

	golden = tested;
	snprintf(path, sizeof(path), "%s/%s", POLICY_DIR, golden->file);
	text = policy_util_read(path);
	assert_non_null(text);
	x86_64 = policy_util_compile(text, &context);
	context.native = POLICY_ABI_AARCH64;
	aarch64 = policy_util_compile(text, &context);
	return 0;
}

int golden_unload(void **state)
{
	(void)state;
	compiled_destroy(x86_64);
	compiled_destroy(aarch64);
	return 0;
}

uint32_t golden_ask(uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t args[6] = {a, b, c};

	return policy_util_ask(x86_64, AUDIT_ARCH_X86_64, number, args);
}

uint32_t golden_ask_aarch64(uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t args[6] = {a, b, c};

	return policy_util_ask(aarch64, AUDIT_ARCH_AARCH64, number, args);
}

void golden_has_no_warning(void **state)
{
	(void)state;
	if (x86_64->n_warnings > 0)
		fail_msg("%s", x86_64->warnings[0]);
	if (aarch64->n_warnings > 0)
		fail_msg("%s", aarch64->warnings[0]);
}

static bool is_conditional(uint32_t nr)
{
	for (size_t i = 0; i < golden->n_conditional; i++)
		if ((uint32_t)golden->conditional[i] == nr)
			return true;
	return false;
}

static bool is_refused(const struct golden_call *calls, size_t n, uint32_t nr)
{
	for (size_t i = 0; i < n; i++)
		if ((uint32_t)calls[i].x86_64 == nr)
			return true;
	return false;
}

static bool is_absent(const struct golden_range *ranges, size_t n, uint32_t nr)
{
	for (size_t i = 0; i < n; i++)
		if (nr >= ranges[i].first && nr <= ranges[i].last)
			return true;
	return false;
}

static uint32_t expected(uint32_t nr)
{
	if (is_refused(refused_by_all, ARRAY_SIZE(refused_by_all), nr) ||
		is_refused(golden->refused, golden->n_refused, nr))
		return GOLDEN_EPERM;
	if (is_absent(absent_in_all, ARRAY_SIZE(absent_in_all), nr) ||
		is_absent(golden->absent, golden->n_absent, nr))
		return GOLDEN_ENOSYS;
	return ALLOW;
}

void golden_answers_every_x86_64_call(void **state)
{
	unsigned allowed = 0;

	(void)state;
	for (uint32_t nr = 0; nr < 10000; nr++) {
		uint32_t got = policy_util_ask_plain(x86_64, nr);

		if (is_conditional(nr))
			continue;
		if (got != expected(nr))
			fail_msg("call %u: %#x, not %#x", nr, got, expected(nr));
		allowed += got == ALLOW;
	}
	assert_int_equal(allowed, x86_64->counts.allow);
	assert_int_equal(x86_64->counts.conditional, golden->n_conditional);
	assert_int_equal(policy_util_ask_plain(x86_64, 9999), GOLDEN_ENOSYS);
	assert_int_equal(policy_util_ask_plain(x86_64, 0xffffffff), GOLDEN_ENOSYS);
}

static void refused_on_aarch64(const struct golden_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i].aarch64 >= 0 &&
			golden_ask_aarch64((uint32_t)calls[i].aarch64, 0, 0, 0) != GOLDEN_EPERM)
			fail_msg("%s is not refused", calls[i].name);
}

void golden_answers_alike_on_aarch64(void **state)
{
	static const uint64_t zero[6];

	(void)state;
	refused_on_aarch64(refused_by_all, ARRAY_SIZE(refused_by_all));
	refused_on_aarch64(golden->refused, golden->n_refused);
	assert_int_equal(golden_ask_aarch64(435, 0, 0, 0), GOLDEN_ENOSYS);    /* clone3 */
	assert_int_equal(golden_ask_aarch64(425, 0, 0, 0), GOLDEN_ENOSYS);    /* io_uring_setup */
	assert_int_equal(golden_ask_aarch64(63, 0, 0, 0), ALLOW);	      /* read */
	assert_int_equal(golden_ask_aarch64(220, 0, 0, 0), ALLOW);	      /* clone */
	assert_int_equal(golden_ask_aarch64(198, 0, 0, 0), GOLDEN_EAF);	      /* socket */
	assert_int_equal(golden_ask_aarch64(198, 2, 1, 6), ALLOW);	      /* TCP */
	assert_int_equal(golden_ask_aarch64(29, 0, 0x5412, 0), GOLDEN_EPERM); /* TIOCSTI */
	assert_int_equal(policy_util_ask(aarch64, AUDIT_ARCH_ARM, 3, zero), KILLED);
	for (uint32_t nr = NEWEST + 1; nr < 10000; nr++)
		assert_int_equal(golden_ask_aarch64(nr, 0, 0, 0), GOLDEN_ENOSYS);
}

void golden_kills_i386_and_x32(void **state)
{
	static const uint64_t zero[6];

	(void)state;
	for (uint32_t nr = 0; nr < 1000; nr++) {
		assert_int_equal(policy_util_ask(x86_64, AUDIT_ARCH_I386, nr, zero), KILLED);
		assert_int_equal(policy_util_ask_plain(x86_64, nr | 0x40000000), KILLED);
	}
}

void golden_refuses_ioctls_on_terminals(void **state)
{
	static const uint32_t refused[] = {0x5412, 0x541c, 0x5423};
	/* Neighbours, TCGETS, TIOCSCTTY, TIOCGPTPEER, FIONREAD, FS_IOC_GETFLAGS. */
	static const uint32_t allowed[] = {0x5411, 0x5413, 0x541b, 0x541d, 0x5422, 0x5424, 0x5401,
		0x540e, 0x5441, 0x541b, 0x80086601, 0, 0xffffffff};

	(void)state;
	for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
		uint64_t high = golden_high_halves[h];

		for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
			for (uint64_t fd = 0; fd < 3; fd++)
				assert_int_equal(golden_ask(16, fd, refused[i] | high, 0x1234),
					GOLDEN_EPERM);
		for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
			assert_int_equal(golden_ask(16, 0, allowed[i] | high, 0), ALLOW);
	}
}

void golden_refuses_new_listeners(void **state)
{
	(void)state;
	for (uint64_t op = 0; op < 4; op++)
		for (uint64_t flags = 0; flags < 64; flags++)
			for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++)
				assert_int_equal(
					golden_ask(317, op, flags | golden_high_halves[h], 1),
					flags & 8 ? GOLDEN_EINVAL : ALLOW);
}

void golden_refuses_other_socket_families(void **state)
{
	(void)state;
	for (uint64_t family = 0; family < 300; family++)
		for (uint64_t type = 1; type < 11; type++) {
			bool good = family == 1 || family == 2 || family == 10 || family == 16;

			if (!good)
				assert_int_equal(golden_ask(41, family, type, 0), GOLDEN_EAF);
			assert_int_equal(
				golden_ask(53, family, type, 0), family == 1 ? ALLOW : GOLDEN_EAF);
		}
	/* A family with something above it is no family of ours, whatever the kernel reads. */
	for (size_t h = 1; h < ARRAY_SIZE(golden_high_halves); h++)
		for (uint64_t family = 0; family < 47; family++)
			assert_int_equal(
				golden_ask(41, family | golden_high_halves[h], 1, 0), GOLDEN_EAF);
	/* The kernel makes AF_PACKET of this (net/socket.c: __sock_create). */
	for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++)
		for (uint64_t flags = 0; flags <= 02004000; flags += 02004000)
			assert_int_equal(
				golden_ask(41, 2, 10 | flags | golden_high_halves[h], 0x300),
				GOLDEN_EAF);
}

/* The namespaces that clone(2) can make; CLONE_NEWTIME is part of its exit signal. */
static const uint64_t namespaces[] = {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
	CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};

void golden_refuses_namespaces_of_clone(void **state)
{
	/* vfork, fork and pthread_create of glibc; the flags of posix_spawn. */
	static const uint64_t plain[] = {0x4111, 0x1200011, 0x3d0f00, 0x7d0f00, 0x11, 0x4100};

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(plain); p++)
		for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
			uint64_t flags = plain[p] | golden_high_halves[h];

			assert_int_equal(golden_ask(56, flags, 0, 0), ALLOW);
			assert_int_equal(golden_ask_aarch64(220, flags, 0, 0), ALLOW);
			for (size_t n = 0; n < ARRAY_SIZE(namespaces); n++) {
				uint64_t more = flags | namespaces[n];

				assert_int_equal(golden_ask(56, more, 0, 0), GOLDEN_EPERM);
				assert_int_equal(golden_ask_aarch64(220, more, 0, 0), GOLDEN_EPERM);
				more |= namespaces[(n + 1) % ARRAY_SIZE(namespaces)];
				assert_int_equal(golden_ask(56, more, 0, 0), GOLDEN_EPERM);
			}
		}
}

void golden_refuses_device_nodes(void **state)
{
	static const uint64_t types[] = {0, S_IFREG, S_IFIFO, S_IFSOCK, S_IFDIR, S_IFCHR, S_IFBLK};

	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(types); t++)
		for (uint64_t mode = 0; mode <= 07777; mode += 0111)
			for (size_t h = 0; h < ARRAY_SIZE(golden_high_halves); h++) {
				uint64_t m = types[t] | mode | golden_high_halves[h];
				uint32_t want = S_ISCHR(types[t]) || S_ISBLK(types[t])
							? GOLDEN_EPERM
							: ALLOW;

				assert_int_equal(golden_ask(133, 1, m, 0), want);
				assert_int_equal(golden_ask(259, 1, 1, m), want);
				assert_int_equal(golden_ask_aarch64(33, 1, 1, m), want);
			}
}
