/*
 * policy/profiles/nesting.json against default.json, whose own tests hold it to a table: the two
 * differ in the three calls on keys, which look absent instead of refused, and in nothing else.
 */
#include "tests/unit/policy_util.h"

#include <string.h>

#define NUMBERS 10000u

struct pair {
	struct compiled *plain;
	struct compiled *nesting;
};

static struct pair x86_64;
static struct pair aarch64;

static int setup(void **state)
{
	struct policy_context context = policy_util_context();
	_cleanup_free_ char *plain = policy_util_read(POLICY_DIR "/default.json");
	_cleanup_free_ char *nesting = policy_util_read(POLICY_DIR "/nesting.json");

	(void)state;
	assert_non_null(plain);
	assert_non_null(nesting);
	x86_64.plain = policy_util_compile(plain, &context);
	x86_64.nesting = policy_util_compile(nesting, &context);
	context.native = POLICY_ABI_AARCH64;
	aarch64.plain = policy_util_compile(plain, &context);
	aarch64.nesting = policy_util_compile(nesting, &context);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	compiled_destroy(x86_64.plain);
	compiled_destroy(x86_64.nesting);
	compiled_destroy(aarch64.plain);
	compiled_destroy(aarch64.nesting);
	return 0;
}

static void has_no_warning(void **state)
{
	(void)state;
	assert_int_equal(x86_64.nesting->n_warnings, 0);
	assert_int_equal(aarch64.nesting->n_warnings, 0);
}

/* What rules compare with, the neighbours of it, and what lies above 32 bits. */
static const uint64_t values[] = {0, 1, 2, 3, 4, 8, 9, 10, 12, 15, 16, 17, 33, 38, 115, 132, 256,
	0x5412, 0x541c, 0x5423, 0x20000, 0x20008, 0x400000, 0xffffffff, UINT64_C(1) << 32,
	(UINT64_C(1) << 32) | 0x5412, (UINT64_C(1) << 32) | 132, UINT64_MAX};

/* A number, with each of the values in the first three arguments. Returns where they differ. */
static unsigned differences(const struct pair *pair, uint32_t arch, uint32_t number)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			const uint64_t args[6] = {values[i], values[k], values[i]};
			const uint64_t swapped[6] = {values[i], values[i], values[k]};

			n += policy_util_ask(pair->plain, arch, number, args) !=
			     policy_util_ask(pair->nesting, arch, number, args);
			n += policy_util_ask(pair->plain, arch, number, swapped) !=
			     policy_util_ask(pair->nesting, arch, number, swapped);
		}
	return n;
}

static void check(const struct pair *pair, uint32_t arch, const uint32_t keys[static 3])
{
	static const uint64_t zero[6];

	for (uint32_t number = 0; number < 520; number++) {
		bool is_key = number == keys[0] || number == keys[1] || number == keys[2];
		unsigned n = differences(pair, arch, number);

		if ((n > 0) != is_key)
			fail_msg("call %u: %u differences", number, n);
		if (!is_key)
			continue;
		assert_int_equal(policy_util_ask(pair->plain, arch, number, zero), ERRNO(1));
		assert_int_equal(policy_util_ask(pair->nesting, arch, number, zero), ERRNO(38));
	}
	for (uint32_t number = 520; number < NUMBERS; number++)
		assert_int_equal(policy_util_ask(pair->plain, arch, number, zero),
			policy_util_ask(pair->nesting, arch, number, zero));
}

/* add_key, request_key, keyctl: asm/unistd_64.h and asm-generic/unistd.h. */
static void differs_in_keys_alone(void **state)
{
	static const uint32_t keys_x86_64[] = {248, 249, 250};
	static const uint32_t keys_aarch64[] = {217, 218, 219};

	(void)state;
	check(&x86_64, AUDIT_ARCH_X86_64, keys_x86_64);
	check(&aarch64, AUDIT_ARCH_AARCH64, keys_aarch64);
}

static void kills_other_abis(void **state)
{
	static const uint64_t zero[6];

	(void)state;
	for (uint32_t number = 0; number < 1000; number++) {
		assert_int_equal(
			policy_util_ask(x86_64.nesting, AUDIT_ARCH_I386, number, zero), KILLED);
		assert_int_equal(
			policy_util_ask_plain(x86_64.nesting, number | 0x40000000), KILLED);
		assert_int_equal(
			policy_util_ask(aarch64.nesting, AUDIT_ARCH_ARM, number, zero), KILLED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_no_warning),
		cmocka_unit_test(differs_in_keys_alone),
		cmocka_unit_test(kills_other_abis),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
