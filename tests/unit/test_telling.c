/* Which refused calls are put to a listener, by an interpreter that has no part in it. */
#include "base/syscall_filter.h"
#include "base/telltale.h"
#include "sandbox/telling.h"

#include "tests/unit/policy_util.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define LISTENER SECCOMP_RET_USER_NOTIF
#define ALL	 ((UINT64_C(1) << TELLTALE_N) - 1)

static uint32_t ask(const struct sock_filter *program, size_t n, uint32_t arch, uint32_t number)
{
	const struct seccomp_data data = {.arch = arch, .nr = (int)number};
	uint32_t action = 0;

	assert_true(bpf_run(program, n, &data, &action));
	return action;
}

/* For whatever number, and ABI: the listener where the set has it, else as without. */
static void compare(const struct compiled *c, uint64_t set)
{
	static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};
	static const uint32_t first[] = {0, 0x40000000u, 0xfffffff0u};
	struct sock_filter *telling;
	unsigned short n;

	assert_int_equal(telling_make(c->program, c->n, set, &telling, &n), 0);
	for (size_t a = 0; a < ARRAY_SIZE(arches); a++)
		for (size_t f = 0; f < ARRAY_SIZE(first); f++)
			for (uint32_t i = 0; i < 600; i++) {
				uint32_t number = first[f] + i;
				uint32_t plain = ask(c->program, c->n, arches[a], number);
				enum telltale call;
				bool tells = arches[a] == SYSCALL_FILTER_ARCH &&
					     telltale_find((int)number, &call) == 0 &&
					     set >> call & 1;

				if (tells)
					assert_int_equal(plain, ERRNO(EPERM));
				assert_int_equal(ask(telling, n, arches[a], number),
					tells ? LISTENER : plain);
			}
	free(telling);
}

static struct compiled *compile(const char *text)
{
	struct policy_context context = policy_util_context();

	return policy_util_compile(text, &context);
}

static void crofts_own_policies(void **state)
{
	static const char *const files[] = {
		POLICY_DIR "/default.json", POLICY_DIR "/shell.json", POLICY_DIR "/strict.json"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char *text = policy_util_read(files[i]);
		struct compiled *c = compile(text);

		assert_int_equal(telling_set(c->program, c->n), ALL);
		compare(c, ALL);
		compiled_destroy(c);
		free(text);
	}
}

static uint64_t set_of(const char *text)
{
	struct compiled *c = compile(text);
	uint64_t set = telling_set(c->program, c->n);

	compare(c, set);
	compiled_destroy(c);
	return set;
}

#define BIT(call) (UINT64_C(1) << TELLTALE_##call)

/* A profile from elsewhere means what it says: other errnos, conditions, and what it allows. */
static void means_what_it_says(void **state)
{
	(void)state;
	assert_int_equal(set_of("{\"defaultAction\": \"SCMP_ACT_ALLOW\"}"), 0);
	/* As engines do, by the default alone. */
	assert_int_equal(set_of("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\":"
				"[\"sendmsg\", \"perf_event_open\"], \"action\": "
				"\"SCMP_ACT_ALLOW\"}]}"),
		ALL & ~BIT(PERF_EVENT_OPEN));
	assert_int_equal(
		set_of("{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
		       "{\"names\": [\"init_module\"], \"action\": \"SCMP_ACT_ERRNO\"},"
		       "{\"names\": [\"kexec_load\"], \"action\": \"SCMP_ACT_ERRNO\","
		       " \"errnoRet\": 38},"
		       "{\"names\": [\"finit_module\"], \"action\": \"SCMP_ACT_KILL_PROCESS\"},"
		       "{\"names\": [\"userfaultfd\"], \"action\": \"SCMP_ACT_ERRNO\","
		       " \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}"),
		BIT(INIT_MODULE));
}

/* The listener is handed over under the policy. */
static void one_that_refuses_sendmsg_does_not_tell(void **state)
{
	(void)state;
	assert_int_equal(
		set_of("{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\":"
		       "[\"init_module\", \"sendmsg\"], \"action\": \"SCMP_ACT_ERRNO\"}]}"),
		0);
	assert_int_equal(
		set_of("{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\":"
		       "[\"init_module\"], \"action\": \"SCMP_ACT_ERRNO\"}, {\"names\":"
		       "[\"sendmsg\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\":"
		       "0, \"value\": 9, \"op\": \"SCMP_CMP_EQ\"}]}]}"),
		0);
}

static void one_without_room_is_left(void **state)
{
	static struct sock_filter program[BPF_MAXINSNS];
	struct sock_filter *telling = NULL;
	unsigned short n = 0;

	(void)state;
	assert_int_equal(telling_make(program, BPF_MAXINSNS, ALL, &telling, &n), -E2BIG);
	assert_null(telling);
}

static void sets_have_names(void **state)
{
	char text[TELLTALE_TEXT_MAX];

	(void)state;
	assert_string_equal(telltale_format(0, text), "");
	assert_string_equal(telltale_format(BIT(INIT_MODULE) | BIT(USERFAULTFD), text),
		"init_module, userfaultfd");
	/* All of them fit, and what is none of them is left out. */
	telltale_format(UINT64_MAX, text);
	assert_true(strlen(text) < TELLTALE_TEXT_MAX - 1);
	assert_non_null(strstr(text, ", userfaultfd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crofts_own_policies),
		cmocka_unit_test(means_what_it_says),
		cmocka_unit_test(one_that_refuses_sendmsg_does_not_tell),
		cmocka_unit_test(one_without_room_is_left),
		cmocka_unit_test(sets_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
