/*
 * policy/profile.h: what is read, what is refused and where the message points, and how the
 * engines' extensions are resolved.
 */
#include "tests/unit/policy_util.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

static int parse(const char *text, struct profile *ret, struct err *err)
{
	struct policy_context context = policy_util_context();

	return profile_parse(text, strlen(text), &context, ret, err);
}

#define HEAD "{\"defaultAction\": \"SCMP_ACT_ERRNO\", "

static void reads_every_part(void **state)
{
	static const char text[] =
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38,"
		" \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X32\", \"SCMP_ARCH_ARM\"],"
		" \"flags\": [\"SECCOMP_FILTER_FLAG_LOG\", \"SECCOMP_FILTER_FLAG_TSYNC\"],"
		" \"listenerPath\": \"\", \"syscalls\": ["
		"  {\"names\": [\"read\", \"write\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": "
		"null},"
		"  {\"name\": \"clone\", \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 13,"
		"   \"comment\": \"x\", \"args\": ["
		"    {\"index\": 5, \"value\": 240, \"valueTwo\": 255, \"op\": "
		"\"SCMP_CMP_MASKED_EQ\"}]},"
		"  {\"names\": [\"open\"], \"action\": \"SCMP_ACT_ERRNO\", \"errno\": \"ENOSYS\"},"
		"  {\"names\": [\"stat\"], \"action\": \"SCMP_ACT_ERRNO\"}]}";
	_cleanup_(profile_finish) struct profile p = {0};
	struct err err = {0};

	(void)state;
	if (parse(text, &p, &err) < 0)
		fail_msg("refused: %s", err.msg);
	assert_int_equal(p.default_action, ERRNO(38));
	assert_int_equal(p.abis, 1 << POLICY_ABI_X86_64 | 1 << POLICY_ABI_X32);
	assert_int_equal(p.flags, SECCOMP_FILTER_FLAG_LOG);
	assert_int_equal(p.n_rules, 4);
	assert_int_equal(p.rules[0].n_names, 2);
	assert_string_equal(p.names[p.rules[0].first_name + 1], "write");
	assert_int_equal(p.rules[1].action, ERRNO(13));
	assert_int_equal(p.rules[1].n_conds, 1);
	assert_int_equal(p.rules[1].conds[0].arg, 5);
	assert_int_equal(p.rules[1].conds[0].value, 0xf0);
	assert_int_equal(p.rules[1].conds[0].want, 0xf0);
	assert_int_equal(p.rules[2].action, ERRNO(38));
	assert_int_equal(p.rules[3].action, ERRNO(1));
}

struct bad {
	const char *text;
	const char *reason;
	const char *subject;
	const char *message;
};

#define RULE(rest)  HEAD "\"syscalls\": [{\"names\": [\"read\"], " rest "}]}"
#define COND(rest)  RULE("\"action\": \"SCMP_ACT_ALLOW\", \"args\": [{" rest "}]")
#define INVALID	    "POLICY_INVALID"
#define UNSUPPORTED "POLICY_UNSUPPORTED"

static const struct bad bad_documents[] = {
	{"", "POLICY_SYNTAX", "line 1", "not valid JSON"},
	{"{\n \"defaultAction\": \"SCMP_ACT_ALLOW\",\n}", "POLICY_SYNTAX", "line 3",
		"line 3, column"},
	{"[]", INVALID, "", "must be an object"},
	{"{} x", "POLICY_SYNTAX", "line 1", "end of file expected"},
	{"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultAction\": \"SCMP_ACT_ALLOW\"}",
		"POLICY_SYNTAX", "line 1", "duplicate"},
	{"[[[[[[[[[0]]]]]]]]]", "POLICY_TOO_LARGE", "", "nested deeper"},
	{"{}", INVALID, "defaultAction", "is missing"},
	{"{\"defaultAction\": 1}", INVALID, "defaultAction", "must be a string"},
	{"{\"defaultAction\": \"SCMP_ACT_PERMIT\"}", INVALID, "defaultAction", "is no action"},
	{"{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}", UNSUPPORTED, "defaultAction", "to answer"},
	{"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 1}", INVALID,
		"defaultErrnoRet", "returns no errno"},
	{HEAD "\"defaultErrnoRet\": 4096}", INVALID, "defaultErrnoRet", "at most 4095"},
	{HEAD "\"defaultErrnoRet\": -1}", INVALID, "defaultErrnoRet", "not negative"},
	{HEAD "\"defaultErrnoRet\": 1.0}", INVALID, "defaultErrnoRet", "whole number"},
	{HEAD "\"defaultErrno\": \"EWHAT\"}", INVALID, "defaultErrno", "is no errno"},
	{HEAD "\"defaultErrno\": \"EPERM\", \"defaultErrnoRet\": 38}", INVALID, "defaultErrno",
		"EPERM is 1, but defaultErrnoRet says 38"},
	{HEAD "\"syscall\": []}", INVALID, "", "unknown key \"syscall\""},
	{HEAD "\"a\\u001b[31m\": []}", INVALID, "", "unknown key \"a?[31m\""},
	{HEAD "\"syscalls\": {}}", INVALID, "syscalls", "must be an array"},
	{HEAD "\"syscalls\": [1]}", INVALID, "syscalls[0]", "must be an object"},
	{HEAD "\"listenerPath\": \"/run/x\"}", UNSUPPORTED, "listenerPath", "listener"},
	{HEAD "\"listenerMetadata\": \"x\"}", UNSUPPORTED, "listenerMetadata", "listener"},
	{HEAD "\"flags\": [\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}", UNSUPPORTED, "flags[0]",
		"listener"},
	{HEAD "\"flags\": [\"SECCOMP_FILTER_FLAG_NEW\"]}", INVALID, "flags[0]", "no filter flag"},
	{HEAD "\"architectures\": [\"SCMP_ARCH_VAX\"]}", INVALID, "architectures[0]",
		"no architecture"},
	{HEAD "\"architectures\": [\"SCMP_ARCH_X86\"], \"archMap\": [{\"architecture\": "
	      "\"SCMP_ARCH_X86_64\"}]}",
		INVALID, "archMap", "keep one of them"},
	{HEAD "\"archMap\": [{\"subArchitectures\": []}]}", INVALID, "archMap[0].architecture",
		"no architecture"},
	{HEAD "\"archMap\": [{\"architecture\": \"SCMP_ARCH_ARM\", \"subArchitectures\": [7]}]}",
		INVALID, "archMap[0].subArchitectures[0]", "no architecture"},
};

static const struct bad bad_rules[] = {
	{HEAD "\"syscalls\": [{\"action\": \"SCMP_ACT_ALLOW\"}]}", INVALID, "syscalls[0].names",
		"names no system call"},
	{HEAD "\"syscalls\": [{\"names\": [], \"action\": \"SCMP_ACT_ALLOW\"}]}", INVALID,
		"syscalls[0].names", "names no system call"},
	{HEAD "\"syscalls\": [{\"names\": [\"a\", 1], \"action\": \"SCMP_ACT_ALLOW\"}]}", INVALID,
		"syscalls[0].names[1]", "must be a string"},
	{HEAD "\"syscalls\": [{\"names\": [\"a b\"], \"action\": \"SCMP_ACT_ALLOW\"}]}", INVALID,
		"syscalls[0].names[0]", "cannot be the name"},
	{RULE("\"name\": \"open\", \"action\": \"SCMP_ACT_ALLOW\""), INVALID, "syscalls[0]",
		"both"},
	{RULE("\"comment\": \"\""), INVALID, "syscalls[0].action", "is missing"},
	{RULE("\"action\": \"SCMP_ACT_TRACE\", \"errnoRet\": 1"), UNSUPPORTED, "syscalls[0].action",
		"SCMP_ACT_TRACE needs a process outside"},
	{RULE("\"action\": \"SCMP_ACT_NOTIFY\""), UNSUPPORTED, "syscalls[0].action", "Croft"},
	{RULE("\"action\": \"SCMP_ACT_ALLOW\", \"errnoRet\": 1"), INVALID, "syscalls[0].errnoRet",
		"returns no errno"},
	{RULE("\"action\": \"SCMP_ACT_KILL\", \"errno\": \"EPERM\""), INVALID, "syscalls[0].errno",
		"returns no errno"},
	{RULE("\"action\": \"SCMP_ACT_ALLOW\", \"arg\": []"), INVALID, "syscalls[0]",
		"unknown key \"arg\""},
	{RULE("\"action\": \"SCMP_ACT_ALLOW\", \"comment\": 1"), INVALID, "syscalls[0].comment",
		"must be a string"},
	{RULE("\"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"cap\": []}"), INVALID,
		"syscalls[0].includes", "unknown key \"cap\""},
	{RULE("\"action\": \"SCMP_ACT_ALLOW\", \"excludes\": {\"caps\": [\"CAP_SYS_ADMlN\"]}"),
		INVALID, "syscalls[0].excludes.caps[0]", "is no capability"},
	{RULE("\"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"arches\": [1]}"), INVALID,
		"syscalls[0].includes.arches[0]", "must be a string"},
	{RULE("\"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": \"4.8-rc1\"}"),
		INVALID, "syscalls[0].includes.minKernel", "is no kernel version"},
	{COND("\"value\": 1, \"op\": \"SCMP_CMP_EQ\""), INVALID, "syscalls[0].args[0]",
		"needs \"index\""},
	{COND("\"index\": 1, \"op\": \"SCMP_CMP_EQ\""), INVALID, "syscalls[0].args[0]",
		"needs \"index\""},
	{COND("\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\""), INVALID,
		"syscalls[0].args[0].index", "at most 5"},
	{COND("\"index\": 0, \"value\": 1"), INVALID, "syscalls[0].args[0].op", "is missing"},
	{COND("\"index\": 0, \"value\": 1, \"op\": \"EQ\""), INVALID, "syscalls[0].args[0].op",
		"is no comparison"},
	{COND("\"index\": 0, \"value\": 1, \"valueTwo\": 2, \"op\": \"SCMP_CMP_EQ\""), INVALID,
		"syscalls[0].args[0]", "valueTwo is for"},
	{COND("\"index\": 0, \"value\": 18446744073709551615, \"op\": \"SCMP_CMP_EQ\""),
		"POLICY_SYNTAX", "line 1", "too big"},
	{COND("\"index\": 0, \"value\": \"1\", \"op\": \"SCMP_CMP_EQ\""), INVALID,
		"syscalls[0].args[0].value", "whole number"},
};

static void check_bad(const struct bad *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct profile p = {.n_rules = 77};
		struct err err = {0};

		if (parse(rows[i].text, &p, &err) == 0)
			fail_msg("accepted: %s", rows[i].text);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.reason, rows[i].reason);
		if (strcmp(err.subject, rows[i].subject) != 0)
			fail_msg("%s: points at \"%s\"", rows[i].text, err.subject);
		if (!strstr(err.msg, rows[i].message))
			fail_msg("%s: says \"%s\"", rows[i].text, err.msg);
		assert_int_equal(p.n_rules, 77);
	}
}

static void refuses_bad_documents(void **state)
{
	(void)state;
	check_bad(bad_documents, ARRAY_SIZE(bad_documents));
}

static void refuses_bad_rules(void **state)
{
	(void)state;
	check_bad(bad_rules, ARRAY_SIZE(bad_rules));
}

/* Repeats a piece between a head and a tail. */
static char *repeat(const char *head, const char *piece, size_t n, const char *tail)
{
	size_t len = strlen(piece);
	char *text = malloc(strlen(head) + n * len + strlen(tail) + 1);
	char *p;

	assert_non_null(text);
	p = stpcpy(text, head);
	for (size_t i = 0; i < n; i++)
		p = mempcpy(p, piece, len);
	strcpy(p, tail);
	return text;
}

static void bounds_what_it_holds(void **state)
{
	static const struct {
		const char *head, *piece, *tail;
		size_t fits;
	} rows[] = {
		{HEAD "\"syscalls\": [", "{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\"},",
			"{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\"}]}",
			PROFILE_RULES_MAX - 1},
		{HEAD "\"syscalls\": [{\"action\": \"SCMP_ACT_ALLOW\", \"names\": [", "\"read\",",
			"\"read\"]}]}", PROFILE_NAMES_MAX - 1},
		{HEAD "\"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", "
		      "\"args\": [",
			"{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_NE\"},",
			"{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_NE\"}]}]}",
			PROFILE_CONDS_MAX - 1},
		{"", " ", HEAD "\"syscalls\": []}",
			PROFILE_BYTES_MAX - strlen(HEAD "\"syscalls\": []}")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t over = 0; over <= 1; over++) {
			_cleanup_free_ char *text = repeat(
				rows[i].head, rows[i].piece, rows[i].fits + over, rows[i].tail);
			_cleanup_(profile_finish) struct profile p = {0};
			struct err err = {0};
			int r = parse(text, &p, &err);

			if (over) {
				assert_true(r < 0);
				assert_string_equal(err.reason, "POLICY_TOO_LARGE");
			} else if (r < 0) {
				fail_msg("row %zu: %s", i, err.msg);
			}
		}
	}
}

/* How many rules are left of one with these filters, for a context. */
static size_t applies(const char *filters, const struct policy_context *context)
{
	_cleanup_(profile_finish) struct profile p = {0};
	struct err err = {0};
	char text[512];

	snprintf(text, sizeof(text), RULE("\"action\": \"SCMP_ACT_ALLOW\", %s"), filters);
	if (profile_parse(text, strlen(text), context, &p, &err) < 0)
		fail_msg("%s: %s", filters, err.msg);
	/* What does not apply leaves no name behind. */
	assert_int_equal(p.n_names, p.n_rules);
	return p.n_rules;
}

static void resolves_includes_and_excludes(void **state)
{
	/* For CAP_SYS_ADMIN on amd64, kernel 6.1. */
	static const struct {
		const char *filters;
		size_t left;
	} rows[] = {
		{"\"includes\": {}, \"excludes\": {}", 1},
		{"\"includes\": null", 1},
		{"\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}", 1},
		{"\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\", \"CAP_SYS_TIME\"]}", 0},
		{"\"includes\": {\"caps\": [\"CAP_SYS_TIME\"]}", 0},
		{"\"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}", 0},
		{"\"excludes\": {\"caps\": [\"CAP_SYS_TIME\", \"CAP_SYS_ADMIN\"]}", 0},
		{"\"excludes\": {\"caps\": [\"CAP_SYS_TIME\"]}", 1},
		{"\"includes\": {\"arches\": [\"amd64\", \"x32\"]}", 1},
		{"\"includes\": {\"arches\": [\"s390x\"]}", 0},
		{"\"includes\": {\"arches\": []}", 1},
		{"\"excludes\": {\"arches\": [\"s390x\"]}", 1},
		{"\"excludes\": {\"arches\": [\"amd64\"]}", 0},
		{"\"includes\": {\"minKernel\": \"6.1\"}", 1},
		{"\"includes\": {\"minKernel\": \"5.10\"}", 1},
		{"\"includes\": {\"minKernel\": \"6.2\"}", 0},
		{"\"includes\": {\"minKernel\": \"7\"}", 0},
		{"\"excludes\": {\"minKernel\": \"4.8\"}", 0},
		{"\"excludes\": {\"minKernel\": \"6.10\"}", 1},
		{"\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"], \"arches\": [\"arm64\"]}", 0},
		{"\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}, \"excludes\": {\"arches\": "
		 "[\"amd64\"]}",
			0},
	};
	struct policy_context context = policy_util_context();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (applies(rows[i].filters, &context) != rows[i].left)
			fail_msg("%s", rows[i].filters);
}

static void resolves_arch_map(void **state)
{
	static const char text[] = HEAD
		"\"archMap\": ["
		" {\"architecture\": \"SCMP_ARCH_X86_64\", \"subArchitectures\": "
		"[\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"]},"
		" {\"architecture\": \"SCMP_ARCH_AARCH64\", \"subArchitectures\": "
		"[\"SCMP_ARCH_ARM\"]},"
		" {\"architecture\": \"SCMP_ARCH_RISCV64\", \"subArchitectures\": null}]}";
	struct policy_context context = policy_util_context();
	_cleanup_(profile_finish) struct profile x86 = {0};
	_cleanup_(profile_finish) struct profile arm = {0};

	(void)state;
	assert_int_equal(profile_parse(text, strlen(text), &context, &x86, NULL), 0);
	assert_int_equal(
		x86.abis, 1 << POLICY_ABI_X86_64 | 1 << POLICY_ABI_X86 | 1 << POLICY_ABI_X32);
	context.native = POLICY_ABI_AARCH64;
	assert_int_equal(profile_parse(text, strlen(text), &context, &arm, NULL), 0);
	assert_int_equal(arm.abis, 1 << POLICY_ABI_AARCH64 | 1 << POLICY_ABI_ARM);
}

static void checks_rules_that_do_not_apply(void **state)
{
	struct profile p;
	struct err err = {0};

	(void)state;
	assert_true(parse(RULE("\"action\": \"SCMP_ACT_NOTIFY\", \"includes\": {\"arches\": "
			       "[\"arm64\"]}"),
			    &p, &err) < 0);
	assert_string_equal(err.reason, UNSUPPORTED);
}

static void parses_capabilities(void **state)
{
	uint64_t caps = 9;
	struct err err = {0};

	(void)state;
	assert_int_equal(policy_caps_parse("", &caps, &err), 0);
	assert_int_equal(caps, 0);
	assert_int_equal(policy_caps_parse("CAP_CHOWN,CAP_CHECKPOINT_RESTORE", &caps, &err), 0);
	assert_true(caps == (UINT64_C(1) << CAP_CHOWN | UINT64_C(1) << CAP_CHECKPOINT_RESTORE));
	assert_true(policy_caps_parse("CAP_CHOWN,cap_kill", &caps, &err) < 0);
	assert_non_null(strstr(err.msg, "\"cap_kill\""));
	assert_true(policy_caps_parse(",", &caps, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_part),
		cmocka_unit_test(refuses_bad_documents),
		cmocka_unit_test(refuses_bad_rules),
		cmocka_unit_test(bounds_what_it_holds),
		cmocka_unit_test(resolves_includes_and_excludes),
		cmocka_unit_test(resolves_arch_map),
		cmocka_unit_test(checks_rules_that_do_not_apply),
		cmocka_unit_test(parses_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
