/*
 * policy/format.h: what the supervisor takes from croft-policy and what it throws away; and
 * policy_check(), the summary for people.
 */
#include "policy/format.h"

#include "tests/unit/policy_util.h"

#include <stddef.h>
#include <string.h>

#define LD(k)	      ((struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, k})
#define RET(k)	      ((struct sock_filter){BPF_RET | BPF_K, 0, 0, k})
#define JEQ(k, t, f)  ((struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, t, f, k})
#define JA(k)	      ((struct sock_filter){BPF_JMP | BPF_JA, 0, 0, k})
#define INSN(code, k) ((struct sock_filter){code, 0, 0, k})

static void takes_good_programs(void **state)
{
	static const struct sock_filter good[] = {LD(4), JEQ(7, 0, 2), LD(60), JA(0),
		RET(SECCOMP_RET_ALLOW), RET(SECCOMP_RET_ERRNO | 1)};
	struct err err = {0};

	(void)state;
	assert_int_equal(policy_program_check(good, ARRAY_SIZE(good), &err), 0);
}

static void refuses_bad_programs(void **state)
{
	static const struct {
		const char *what;
		struct sock_filter program[3];
		size_t n;
	} rows[] = {
		{"empty", {RET(0)}, 0},
		{"no return", {LD(0)}, 1},
		{"ends in a comparison", {LD(0), JEQ(0, 0, 0)}, 2},
		{"unaligned load", {LD(2), RET(0)}, 2},
		{"load past the data", {LD(64), RET(0)}, 2},
		{"load wrapping around", {LD(0xfffffffc), RET(0)}, 2},
		{"true past the end", {JEQ(0, 1, 0), RET(0)}, 2},
		{"false past the end", {JEQ(0, 0, 255), RET(0)}, 2},
		{"long jump past the end", {JA(1), RET(0)}, 2},
		{"long jump around", {JA(0xffffffff), RET(0)}, 2},
		{"return of A", {INSN(BPF_RET | BPF_A, 0)}, 1},
		{"byte load", {INSN(BPF_LD | BPF_B | BPF_ABS, 0), RET(0)}, 2},
		{"store", {INSN(BPF_ST, 0), RET(0)}, 2},
		{"division", {INSN(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0)}, 2},
		{"listener", {RET(SECCOMP_RET_USER_NOTIF)}, 1},
		{"tracer", {RET(SECCOMP_RET_TRACE | 5)}, 1},
		{"unknown action", {RET(0x7ffd0000)}, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = {0};

		if (policy_program_check(rows[i].program, rows[i].n, &err) == 0)
			fail_msg("accepted: %s", rows[i].what);
		assert_int_equal(err.code, ERR_DATA_LOSS);
	}
}

static void refuses_programs_too_long(void **state)
{
	static struct sock_filter program[POLICY_INSTRUCTIONS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(program); i++)
		program[i] = RET(SECCOMP_RET_ALLOW);
	assert_int_equal(policy_program_check(program, POLICY_INSTRUCTIONS_MAX, NULL), 0);
	assert_true(policy_program_check(program, POLICY_INSTRUCTIONS_MAX + 1, NULL) < 0);
}

struct output {
	struct policy_header h;
	struct sock_filter program[2];
};

static struct output good_output(void)
{
	return (struct output){
		.h = {.magic = POLICY_FORMAT_MAGIC,
			.version = POLICY_FORMAT_VERSION,
			.n_instructions = 2,
			.flags = SECCOMP_FILTER_FLAG_LOG,
			.n_warnings = 3},
		.program = {LD(0), RET(SECCOMP_RET_ALLOW)},
	};
}

static void takes_good_output(void **state)
{
	struct output out = good_output();
	const struct sock_filter *program = NULL;
	struct policy_header h = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(policy_output_check(&out, sizeof(out), &h, &program, &err), 0);
	assert_ptr_equal(program, out.program);
	assert_int_equal(h.n_instructions, 2);
	assert_int_equal(h.n_warnings, 3);
}

static void refuses_bad_output(void **state)
{
	enum { MAGIC, VERSION, RESERVED, NONE, MORE, FEWER, HUGE, FLAGS, LISTENER, PROGRAM, CASES };

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct output out = good_output();
		const struct sock_filter *program = NULL;
		struct policy_header h = {.magic = 77};
		struct err err = {0};

		out.h.magic += i == MAGIC;
		out.h.version += i == VERSION;
		out.h.reserved += i == RESERVED;
		out.h.n_instructions = i == NONE    ? 0
				       : i == MORE  ? 3
				       : i == FEWER ? 1
				       : i == HUGE  ? 0x20000002
						    : 2;
		if (i == FLAGS)
			out.h.flags = 1u << 20;
		if (i == LISTENER)
			out.h.flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
		if (i == PROGRAM)
			out.program[1] = RET(SECCOMP_RET_USER_NOTIF);
		if (policy_output_check(&out, sizeof(out), &h, &program, &err) == 0)
			fail_msg("case %d was accepted", i);
		assert_string_equal(err.reason, "POLICY_OUTPUT_INVALID");
		assert_int_equal(h.magic, 77);
		assert_null(program);
	}
}

static void refuses_cut_output(void **state)
{
	struct output out = good_output();

	(void)state;
	for (size_t size = 0; size < sizeof(out); size++) {
		const struct sock_filter *program = NULL;
		struct policy_header h;

		assert_true(policy_output_check(&out, size, &h, &program, NULL) < 0);
	}
}

static void passes_on_the_workers_error(void **state)
{
	struct output out = good_output();
	const struct sock_filter *program = NULL;
	struct policy_header h = {0};
	struct err err = {0};

	(void)state;
	err_set(&out.h.err, ERR_INVALID_ARGUMENT, "POLICY_INVALID", "what\x1b[31m");
	memset(out.h.err.subject, 'x', sizeof(out.h.err.subject));
	assert_int_equal(policy_output_check(&out, sizeof(out.h), &h, &program, &err), -EINVAL);
	assert_string_equal(err.reason, "POLICY_INVALID");
	assert_null(strchr(err.msg, '\x1b'));
	assert_true(strnlen(err.subject, sizeof(err.subject)) < sizeof(err.subject));
}

static void sums_up_the_default_profile(void **state)
{
	_cleanup_free_ char *text = policy_util_read(POLICY_DIR "/default.json");
	struct policy_context context = policy_util_context();
	struct policy_summary s = {0};
	struct err err = {0};

	(void)state;
	assert_non_null(text);
	assert_int_equal(policy_check(text, strlen(text), &context, &s, &err), 0);
	assert_string_equal(s.default_action, "ERRNO(ENOSYS)");
	assert_string_equal(s.abis, "SCMP_ARCH_X86_64");
	assert_int_equal(s.n_warnings, 0);
	assert_int_equal(s.flags, 0);
	assert_int_equal(s.counts.kill, 0);
	assert_true(s.counts.allow > 300 && s.counts.refuse > 30);
	assert_true(s.n_instructions > 100 && s.n_instructions < 1000);
	/* For this host, whatever it is. */
	assert_int_equal(policy_check(text, strlen(text), NULL, &s, &err), 0);
}

static void sums_up_warnings(void **state)
{
	static const char text[] =
		"{\"defaultAction\": \"SCMP_ACT_KILL_PROCESS\", \"flags\": "
		"[\"SECCOMP_FILTER_FLAG_LOG\"], \"architectures\": [\"SCMP_ARCH_X86\"], "
		"\"syscalls\": [{\"names\": [\"raed\"], \"action\": \"SCMP_ACT_ALLOW\"}]}";
	struct policy_context context = policy_util_context();
	struct policy_summary s = {0};

	(void)state;
	assert_int_equal(policy_check(text, strlen(text), &context, &s, NULL), 0);
	assert_string_equal(s.default_action, "KILL_PROCESS");
	assert_string_equal(s.abis, "SCMP_ARCH_X86_64 SCMP_ARCH_X86");
	assert_int_equal(s.flags, SECCOMP_FILTER_FLAG_LOG);
	assert_int_equal(s.n_warnings, 1);
	assert_non_null(strstr(s.warnings[0], "raed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_good_programs),
		cmocka_unit_test(refuses_bad_programs),
		cmocka_unit_test(refuses_programs_too_long),
		cmocka_unit_test(takes_good_output),
		cmocka_unit_test(refuses_bad_output),
		cmocka_unit_test(refuses_cut_output),
		cmocka_unit_test(passes_on_the_workers_error),
		cmocka_unit_test(sums_up_the_default_profile),
		cmocka_unit_test(sums_up_warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
