/*
 * policy/compile.h: the programs, run call by call in an interpreter that shares no code with the
 * compiler, against what the rules mean, computed here in plain C.
 */
#include "policy/format.h"

#include "tests/unit/policy_util.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#define X86_64 AUDIT_ARCH_X86_64
#define X32    0x40000000u
#define DENY   ERRNO(38)
#define HEAD   "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, "

/* Numbers of x86-64, from its asm/unistd_64.h. */
enum { NR_READ = 0, NR_WRITE = 1, NR_IOCTL = 16, NR_CLONE = 56, NR_PERSONALITY = 135 };

static void cleanup_compiled(struct compiled **c)
{
	compiled_destroy(*c);
}

static struct compiled *compile(const char *text)
{
	struct policy_context context = policy_util_context();
	struct compiled *c = policy_util_compile(text, &context);
	struct err err = {0};

	if (policy_program_check(c->program, c->n, &err) < 0)
		fail_msg("%s", err.msg);
	return c;
}

static void kills_foreign_abis(void **state)
{
	_cleanup_(cleanup_compiled) struct compiled *c = compile(
		HEAD "\"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\"}]}");
	static const uint64_t args[6];
	static const uint32_t arches[] = {AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_AARCH64, 0,
		0xffffffff, AUDIT_ARCH_X86_64 ^ 1};

	(void)state;
	assert_int_equal(policy_util_ask_plain(c, NR_READ), ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		for (uint32_t nr = 0; nr < 600; nr++)
			assert_int_equal(policy_util_ask(c, arches[i], nr, args), KILLED);
	for (uint32_t nr = 0; nr < 600; nr++)
		assert_int_equal(policy_util_ask_plain(c, nr | X32), KILLED);
	assert_int_equal(policy_util_ask_plain(c, X32 - 1), DENY);
	assert_int_equal(policy_util_ask_plain(c, 0x7fffffff), KILLED);
	assert_int_equal(policy_util_ask_plain(c, 0x80000000), KILLED);
	assert_int_equal(policy_util_ask_plain(c, 0xfffffffe), KILLED);
	/* A tracer's "skip this call". */
	assert_int_equal(policy_util_ask_plain(c, 0xffffffff), DENY);
}

static void filters_the_abis_of_the_profile(void **state)
{
	_cleanup_(cleanup_compiled) struct compiled *c = compile(
		HEAD "\"architectures\": [\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"], \"syscalls\": ["
		     "{\"names\": [\"getpid\", \"socket\"], \"action\": \"SCMP_ACT_ALLOW\"}]}");
	static const uint64_t args[6];

	(void)state;
	for (uint32_t nr = 0; nr < 600; nr++) {
		assert_int_equal(policy_util_ask_plain(c, nr), nr == 39 || nr == 41 ? ALLOW : DENY);
		assert_int_equal(
			policy_util_ask_plain(c, nr | X32), nr == 39 || nr == 41 ? ALLOW : DENY);
		/* i386: getpid is 20, socket 359; socketcall (102) was not asked for. */
		assert_int_equal(policy_util_ask(c, AUDIT_ARCH_I386, nr, args),
			nr == 20 || nr == 359 ? ALLOW : DENY);
	}
	assert_int_equal(policy_util_ask(c, AUDIT_ARCH_ARM, 20, args), KILLED);
}

static void refuses_through_socketcall_too(void **state)
{
	_cleanup_(cleanup_compiled) struct compiled *c = compile(
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": "
		"[\"SCMP_ARCH_X86\"], \"syscalls\": ["
		"{\"names\": [\"socket\", \"accept\", \"shmget\"], \"action\": "
		"\"SCMP_ACT_ERRNO\"},"
		"{\"names\": [\"bind\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": "
		"[{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}");

	(void)state;
	for (uint64_t call = 0; call < 40; call++) {
		const uint64_t plain[6] = {call}, versioned[6] = {call | 0x10000};

		assert_int_equal(policy_util_ask(c, AUDIT_ARCH_I386, 102, plain),
			call == 1 || call == 5 ? ERRNO(1) : ALLOW);
		assert_int_equal(policy_util_ask(c, AUDIT_ARCH_I386, 117, plain),
			call == 23 ? ERRNO(1) : ALLOW);
		assert_int_equal(policy_util_ask(c, AUDIT_ARCH_I386, 117, versioned),
			call == 23 ? ERRNO(1) : ALLOW);
	}
	assert_int_equal(policy_util_ask_plain(c, 102), ALLOW); /* getuid */
	assert_int_equal(c->n_warnings, 1);
	assert_non_null(strstr(c->warnings[0], "its conditions on bind cannot be checked"));
}

static void compiles_for_aarch64(void **state)
{
	struct policy_context context = policy_util_context();
	_cleanup_(cleanup_compiled) struct compiled *c = NULL;
	static const uint64_t args[6];

	(void)state;
	context.native = POLICY_ABI_AARCH64;
	c = policy_util_compile(HEAD "\"syscalls\": [{\"names\": [\"read\", \"open\"], \"action\": "
				     "\"SCMP_ACT_ALLOW\"}]}",
		&context);
	assert_int_equal(c->n_warnings, 0);
	for (uint32_t nr = 0; nr < 600; nr++) {
		assert_int_equal(
			policy_util_ask(c, AUDIT_ARCH_AARCH64, nr, args), nr == 63 ? ALLOW : DENY);
		assert_int_equal(policy_util_ask(c, AUDIT_ARCH_ARM, nr, args), KILLED);
		assert_int_equal(policy_util_ask(c, X86_64, nr, args), KILLED);
	}
}

/* Whether a condition holds, as seccomp_rule_add(3) has it. */
static bool holds(const char *op, uint64_t value, uint64_t two, uint64_t arg)
{
	if (strcmp(op, "NE") == 0)
		return arg != value;
	if (strcmp(op, "LT") == 0)
		return arg < value;
	if (strcmp(op, "LE") == 0)
		return arg <= value;
	if (strcmp(op, "EQ") == 0)
		return arg == value;
	if (strcmp(op, "GE") == 0)
		return arg >= value;
	if (strcmp(op, "GT") == 0)
		return arg > value;
	return (arg & value) == (two & value);
}

static const char *const ops[] = {"NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"};

/* Where comparisons of two words go wrong. */
static const uint64_t values[] = {
	0,
	1,
	2,
	5,
	0x5412,
	0x7fffffff,
	0x80000000,
	0xfffffffe,
	0xffffffff,
	0x100000000,
	0x100000001,
	0x100000005,
	0x200000005,
	0x2ffffffff,
	0x7fffffff00000000,
	0x7fffffffffffffff,
};

/* Runs fn for each border value, its neighbours, and the same with the highest bit set. */
static void for_each_border(void (*fn)(uint64_t arg, void *context), void *context)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		for (uint64_t d = 0; d < 3; d++) {
			fn(values[i] + d - 1, context);
			fn((values[i] + d - 1) | UINT64_C(1) << 63, context);
		}
}

struct one_condition {
	const struct compiled *c;
	unsigned arg;
	const char *op;
	uint64_t value, two;
};

static void check_one_condition(uint64_t arg, void *context)
{
	const struct one_condition *t = context;
	uint64_t args[6] = {~arg, ~arg, ~arg, ~arg, ~arg, ~arg};
	uint32_t want = holds(t->op, t->value, t->two, arg) ? ALLOW : DENY;

	args[t->arg] = arg;
	if (policy_util_ask(t->c, X86_64, NR_IOCTL, args) != want)
		fail_msg("argument %u: %#llx %s %#llx (%#llx)", t->arg, (unsigned long long)arg,
			t->op, (unsigned long long)t->value, (unsigned long long)t->two);
}

static void compares_all_64_bits(void **state)
{
	char text[512];

	(void)state;
	for (unsigned o = 0; o < ARRAY_SIZE(ops); o++) {
		for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
			uint64_t two = o == 6 ? values[(v * 7 + 3) % ARRAY_SIZE(values)] : 0;
			_cleanup_(cleanup_compiled) struct compiled *c = NULL;
			struct one_condition t = {NULL, v % 6, ops[o], values[v], two};

			snprintf(text, sizeof(text),
				HEAD "\"syscalls\": [{\"names\": [\"ioctl\"], \"action\": "
				     "\"SCMP_ACT_ALLOW\", \"args\": [{\"index\": %u, \"value\": "
				     "%llu, \"valueTwo\": %llu, \"op\": \"SCMP_CMP_%s\"}]}]}",
				t.arg, (unsigned long long)t.value, (unsigned long long)two, t.op);
			c = compile(text);
			t.c = c;
			for_each_border(check_one_condition, &t);
		}
	}
}

/* Profiles by chance: up to six rules for ioctl, each with up to four conditions on arguments 0
 * and 1, and the same again computed from what the rules say. */
#define RULES_MAX 6
#define CONDS_MAX 4

struct random_rule {
	uint32_t action;
	unsigned n_conds;
	struct {
		unsigned arg;
		unsigned op;
		uint64_t value, two;
	} conds[CONDS_MAX];
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static const struct {
	uint32_t action;
	const char *json;
} actions[] = {
	{ALLOW, "\"SCMP_ACT_ALLOW\""},
	{SECCOMP_RET_LOG, "\"SCMP_ACT_LOG\""},
	{ERRNO(1), "\"SCMP_ACT_ERRNO\", \"errnoRet\": 1"},
	{ERRNO(22), "\"SCMP_ACT_ERRNO\", \"errnoRet\": 22"},
	{DENY, "\"SCMP_ACT_ERRNO\", \"errnoRet\": 38"},
	{SECCOMP_RET_TRAP, "\"SCMP_ACT_TRAP\""},
	{SECCOMP_RET_KILL_THREAD, "\"SCMP_ACT_KILL\""},
	{SECCOMP_RET_KILL_PROCESS, "\"SCMP_ACT_KILL_PROCESS\""},
};

/* Strictness by hand: position in the kernel's documentation, userspace-api/seccomp_filter. */
static int rank(uint32_t action)
{
	switch (action & 0xffff0000u) {
	case 0x80000000u:
		return 0;
	case 0x00000000u:
		return 1;
	case 0x00030000u:
		return 2;
	case 0x00050000u:
		return 3;
	case 0x7ffc0000u:
		return 4;
	default:
		return 5;
	}
}

static uint32_t expected(const struct random_rule *rules, unsigned n, const uint64_t args[6])
{
	uint32_t best = 0;
	bool found = false;

	for (unsigned i = 0; i < n; i++) {
		bool all = true;

		for (unsigned k = 0; k < rules[i].n_conds; k++)
			all = all && holds(ops[rules[i].conds[k].op], rules[i].conds[k].value,
					     rules[i].conds[k].two, args[rules[i].conds[k].arg]);
		if (all && (!found || rank(rules[i].action) < rank(best))) {
			best = rules[i].action;
			found = true;
		}
	}
	return found ? best : DENY;
}

static unsigned random_rules(
	uint32_t *seed, struct random_rule rules[RULES_MAX], char *text, size_t size)
{
	unsigned n = 1 + next_random(seed) % RULES_MAX;
	size_t used = (size_t)snprintf(text, size, HEAD "\"syscalls\": [");

	for (unsigned i = 0; i < n; i++) {
		unsigned a = next_random(seed) % ARRAY_SIZE(actions);

		rules[i].action = actions[a].action;
		rules[i].n_conds = next_random(seed) % (CONDS_MAX + 1);
		used += (size_t)snprintf(text + used, size - used,
			"%s{\"names\": [\"ioctl\"], \"action\": %s, \"args\": [", i ? "," : "",
			actions[a].json);
		for (unsigned k = 0; k < rules[i].n_conds; k++) {
			unsigned op = next_random(seed) % ARRAY_SIZE(ops);
			uint64_t value = values[next_random(seed) % ARRAY_SIZE(values)];
			uint64_t two = op == 6 ? values[next_random(seed) % ARRAY_SIZE(values)] : 0;

			rules[i].conds[k].arg = next_random(seed) % 2;
			rules[i].conds[k].op = op;
			rules[i].conds[k].value = value;
			rules[i].conds[k].two = two;
			used += (size_t)snprintf(text + used, size - used,
				"%s{\"index\": %u, \"value\": %llu, \"valueTwo\": %llu, \"op\": "
				"\"SCMP_CMP_%s\"}",
				k ? "," : "", rules[i].conds[k].arg, (unsigned long long)value,
				(unsigned long long)two, ops[op]);
		}
		used += (size_t)snprintf(text + used, size - used, "]}");
	}
	snprintf(text + used, size - used, "]}");
	return n;
}

static void means_what_the_rules_say(void **state)
{
	uint32_t seed = 20260101;
	unsigned conditional = 0;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct random_rule rules[RULES_MAX];
		char text[8192];
		unsigned n = random_rules(&seed, rules, text, sizeof(text));
		_cleanup_(cleanup_compiled) struct compiled *c = compile(text);

		conditional += c->counts.conditional;
		for (int probe = 0; probe < 200; probe++) {
			uint64_t args[6] = {0};

			for (int k = 0; k < 2; k++)
				args[k] = values[next_random(&seed) % ARRAY_SIZE(values)] +
					  next_random(&seed) % 3 - 1;
			if (policy_util_ask(c, X86_64, NR_IOCTL, args) != expected(rules, n, args))
				fail_msg("round %d, %#llx %#llx: %s", round,
					(unsigned long long)args[0], (unsigned long long)args[1],
					text);
		}
		assert_int_equal(policy_util_ask_plain(c, NR_IOCTL - 1), DENY);
		assert_int_equal(policy_util_ask_plain(c, NR_IOCTL + 1), DENY);
	}
	/* The rounds did not all collapse into plain answers. */
	assert_true(conditional > 1000);
}

static void keeps_rules_equal_to_the_default(void **state)
{
	_cleanup_(cleanup_compiled) struct compiled *c = compile(HEAD
		"\"syscalls\": ["
		"{\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\"},"
		"{\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38, "
		"\"args\": [{\"index\": 0, \"value\": 7, \"op\": \"SCMP_CMP_EQ\"}]},"
		"{\"names\": [\"read\", \"write\"], \"action\": \"SCMP_ACT_ALLOW\"},"
		"{\"names\": [\"write\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38}]}");
	uint64_t args[6] = {7};

	(void)state;
	assert_int_equal(policy_util_ask(c, X86_64, NR_CLONE, args), DENY);
	args[0] = 6;
	assert_int_equal(policy_util_ask(c, X86_64, NR_CLONE, args), ALLOW);
	assert_int_equal(policy_util_ask_plain(c, NR_READ), ALLOW);
	assert_int_equal(policy_util_ask_plain(c, NR_WRITE), DENY);
}

static void takes_the_first_of_two_errnos(void **state)
{
	_cleanup_(cleanup_compiled) struct compiled *c = compile(
		HEAD "\"syscalls\": ["
		     "{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 13},"
		     "{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 1},"
		     "{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\"}]}");

	(void)state;
	assert_int_equal(policy_util_ask_plain(c, NR_READ), ERRNO(13));
	assert_int_equal(c->n_warnings, 2);
	assert_string_equal(c->warnings[0], "syscalls[1]: has no effect on read, because "
					    "syscalls[0] is stricter (ERRNO(EACCES))");
}

static void warns_of_unknown_names(void **state)
{
	/* arm_fadvise64_64 is a call, on arm only; so is no reason to warn. */
	_cleanup_(cleanup_compiled) struct compiled *c = compile(HEAD
		"\"architectures\": [\"SCMP_ARCH_X86\"], \"syscalls\": [{\"names\": [\"raed\", "
		"\"read\", \"arm_fadvise64_64\", \"mseal\"], \"action\": \"SCMP_ACT_ALLOW\"}]}");

	(void)state;
	assert_int_equal(c->n_warnings, 1);
	assert_non_null(strstr(c->warnings[0], "syscalls[0]: \"raed\" is no system call"));
	assert_int_equal(policy_util_ask_plain(c, NR_READ), ALLOW);
	assert_int_equal(policy_util_ask_plain(c, 462), ALLOW);
}

/* A profile whose subtrees are far longer than a conditional jump reaches. */
static void jumps_over_long_subtrees(void **state)
{
	static const char *const names[] = {"read", "open", "stat", "poll", "brk", "ioctl", "readv",
		"pipe", "dup", "pause", "getpid", "socket", "bind", "fork", "kill", "uname",
		"chdir", "mkdir", "link", "chmod"};
	static const uint32_t numbers[] = {
		0, 2, 4, 7, 12, 16, 19, 22, 32, 34, 39, 41, 49, 57, 62, 63, 80, 83, 86, 90};
	static char text[1 << 20];
	size_t used = (size_t)snprintf(text, sizeof(text), HEAD "\"syscalls\": [");
	_cleanup_(cleanup_compiled) struct compiled *c = NULL;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		for (unsigned k = 0; k < 35; k++)
			used += (size_t)snprintf(text + used, sizeof(text) - used,
				"%s{\"names\": [\"%s\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": "
				"[{\"index\": 1, \"value\": %u, \"op\": \"SCMP_CMP_EQ\"}]}",
				i + k ? "," : "", names[i], 1000 * i + k);
	snprintf(text + used, sizeof(text) - used, "]}");
	c = compile(text);
	assert_true(c->n > 3500);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		for (unsigned k = 0; k < 40; k++) {
			uint64_t args[6] = {0, 1000 * i + k};

			assert_int_equal(policy_util_ask(c, X86_64, numbers[i], args),
				k < 35 ? ALLOW : DENY);
		}
	for (uint32_t nr = 91; nr < 600; nr++)
		assert_int_equal(policy_util_ask_plain(c, nr), DENY);
}

static void refuses_programs_too_long_for_the_kernel(void **state)
{
	static char text[1 << 20];
	size_t used = (size_t)snprintf(text, sizeof(text), HEAD "\"syscalls\": [");
	struct policy_context context = policy_util_context();
	struct compiled *c = NULL;
	struct err err = {0};

	(void)state;
	for (unsigned k = 0; k < 1000; k++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%s{\"names\": [\"ioctl\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": "
			"[{\"index\": 1, \"value\": %u, \"op\": \"SCMP_CMP_EQ\"}]}",
			k ? "," : "", k);
	snprintf(text + used, sizeof(text) - used, "]}");
	assert_true(policy_build(text, strlen(text), &context, &c, &err) < 0);
	assert_string_equal(err.reason, "POLICY_TOO_LARGE");
	assert_null(c);
}

static void counts_how_calls_fare(void **state)
{
	_cleanup_(cleanup_compiled) struct compiled *c = compile(HEAD
		"\"architectures\": [\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"], \"syscalls\": ["
		"{\"names\": [\"read\", \"write\", \"open\", \"read\"], \"action\": "
		"\"SCMP_ACT_ALLOW\"},"
		"{\"names\": [\"bpf\"], \"action\": \"SCMP_ACT_ERRNO\"},"
		"{\"names\": [\"acct\"], \"action\": \"SCMP_ACT_TRAP\"},"
		"{\"names\": [\"sync\"], \"action\": \"SCMP_ACT_LOG\"},"
		"{\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": "
		"0, \"value\": 7, \"op\": \"SCMP_CMP_EQ\"}]}]}");

	(void)state;
	assert_int_equal(c->counts.allow, 3);
	assert_int_equal(c->counts.refuse, 1);
	assert_int_equal(c->counts.kill, 1);
	assert_int_equal(c->counts.log, 1);
	assert_int_equal(c->counts.conditional, 1);
}

/* In the shape of Docker's profile: EPERM by default, ABIs by archMap, capabilities as keys. */
static const char engine_profile[] =
	"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 1,"
	" \"archMap\": [{\"architecture\": \"SCMP_ARCH_X86_64\", \"subArchitectures\": "
	"  [\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"]}],"
	" \"syscalls\": ["
	"  {\"names\": [\"read\", \"write\", \"_llseek\", \"socketcall\"], \"action\": "
	"   \"SCMP_ACT_ALLOW\"},"
	"  {\"names\": [\"ptrace\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": "
	"   \"4.8\"}},"
	"  {\"names\": [\"personality\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0,"
	"   \"value\": 8, \"op\": \"SCMP_CMP_EQ\"}]},"
	"  {\"names\": [\"mount\", \"clone\", \"clone3\"], \"action\": \"SCMP_ACT_ALLOW\","
	"   \"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}},"
	"  {\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0,"
	"   \"value\": 2114060288, \"op\": \"SCMP_CMP_MASKED_EQ\"}],"
	"   \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"], \"arches\": [\"s390x\"]}},"
	"  {\"names\": [\"clone3\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38,"
	"   \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}}]}";

static void compiles_the_shape_of_engines(void **state)
{
	struct policy_context context = policy_util_context();
	_cleanup_(cleanup_compiled) struct compiled *with = NULL;
	_cleanup_(cleanup_compiled) struct compiled *without = NULL;
	uint64_t args[6] = {8};

	(void)state;
	with = policy_util_compile(engine_profile, &context);
	context.caps = 0;
	without = policy_util_compile(engine_profile, &context);
	assert_int_equal(with->n_warnings + without->n_warnings, 0);
	assert_int_equal(policy_util_ask(with, X86_64, NR_PERSONALITY, args), ALLOW);
	assert_int_equal(policy_util_ask(with, AUDIT_ARCH_I386, 136, args), ALLOW);
	assert_int_equal(policy_util_ask_plain(with, NR_PERSONALITY), ERRNO(1));
	assert_int_equal(policy_util_ask(with, AUDIT_ARCH_I386, 140, args), ALLOW); /* _llseek */
	assert_int_equal(policy_util_ask_plain(with, 165), ALLOW);		    /* mount */
	assert_int_equal(policy_util_ask_plain(without, 165), ERRNO(1));
	assert_int_equal(policy_util_ask_plain(with, 435), ALLOW); /* clone3 */
	assert_int_equal(policy_util_ask_plain(without, 435), ERRNO(38));
	args[0] = 0x10000000; /* CLONE_NEWUSER */
	assert_int_equal(policy_util_ask(with, X86_64, NR_CLONE, args), ALLOW);
	assert_int_equal(policy_util_ask(without, X86_64, NR_CLONE, args), ERRNO(1));
	args[0] = 0x01200011; /* fork */
	assert_int_equal(policy_util_ask(without, X86_64, NR_CLONE, args), ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kills_foreign_abis),
		cmocka_unit_test(filters_the_abis_of_the_profile),
		cmocka_unit_test(refuses_through_socketcall_too),
		cmocka_unit_test(compiles_for_aarch64),
		cmocka_unit_test(compares_all_64_bits),
		cmocka_unit_test(means_what_the_rules_say),
		cmocka_unit_test(keeps_rules_equal_to_the_default),
		cmocka_unit_test(takes_the_first_of_two_errnos),
		cmocka_unit_test(warns_of_unknown_names),
		cmocka_unit_test(jumps_over_long_subtrees),
		cmocka_unit_test(refuses_programs_too_long_for_the_kernel),
		cmocka_unit_test(counts_how_calls_fare),
		cmocka_unit_test(compiles_the_shape_of_engines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
