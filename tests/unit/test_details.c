/* server/details.h: details of events are one JSON object, whatever goes into them. */
#include "server/details.h"

#include "tests/unit/unit.h"

#include <string.h>

static void members_are_put_together(void **state)
{
	struct details d;

	(void)state;
	details_init(&d);
	assert_string_equal(details_end(&d), "{}");
	details_init(&d);
	details_text(&d, "a", "b");
	details_number(&d, "n", UINT64_MAX);
	details_open(&d, "in");
	details_int(&d, "i", -1);
	details_bool(&d, "t", true);
	details_close(&d);
	details_null(&d, "z");
	details_open(&d, "open");
	assert_string_equal(details_end(&d),
		"{\"a\":\"b\",\"n\":18446744073709551615,\"in\":{\"i\":-1,\"t\":true},\"z\":null,"
		"\"open\":{}}");
}

static void text_is_escaped(void **state)
{
	struct details d;

	(void)state;
	details_init(&d);
	details_text(&d, "t", "a\"b\\c\nd\x7f\xc3\xbc\xff\xc3");
	assert_string_equal(details_end(&d), "{\"t\":\"a\\\"b\\\\c\\u000ad\\u007f\xc3\xbc??\"}");
}

/* Braces and quotes are balanced, and the last member is whole. */
static void what_does_not_fit_is_left_out_whole(void **state)
{
	struct details d;
	char text[600];

	(void)state;
	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	details_init(&d);
	for (int i = 0; i < 20; i++) {
		details_open(&d, "object");
		details_text(&d, "old", text);
		details_text(&d, "new", text);
		details_close(&d);
	}
	details_end(&d);
	assert_true(strlen(d.text) < DETAILS_SIZE);
	assert_true(strlen(d.text) > DETAILS_SIZE / 2);
	assert_string_equal(d.text + strlen(d.text) - 2, "}}");
}

static void changes_are_told_old_and_new(void **state)
{
	static const uint64_t none[LIMITS_CPU_WORDS];
	const uint64_t first[LIMITS_CPU_WORDS] = {1};
	struct changes c;
	struct limits old;
	struct limits new;

	(void)state;
	limits_init(&old);
	limits_init(&new);
	old.value[LIMIT_PIDS] = 64;
	new.value[LIMIT_PIDS] = 100;
	new.value[LIMIT_MEMORY] = 128 << 20;
	memcpy(new.core_mask, first, sizeof(first));
	changes_init(&c);
	changes_limits(&c, &old, &new);
	changes_cores(&c, none, first);
	changes_bool(&c, "oom_group", false, true);
	changes_text(&c, "account_ref", "same", "same");
	assert_int_equal(c.n, 5);
	assert_string_equal(changes_end(&c),
		"{\"changes\":{\"limits.memory_bytes\":{\"old\":null,\"new\":134217728},"
		"\"limits.pids\":{\"old\":64,\"new\":100},"
		"\"limits.core_list\":{\"old\":\"\",\"new\":\"0\"},"
		"\"cores\":{\"old\":\"\",\"new\":\"0\"},"
		"\"oom_group\":{\"old\":false,\"new\":true}}}");
	assert_string_equal(c.text, "memory none to 128 MiB, pids 64 to 100, limits.core_list none "
				    "to 0, cores none to 0, oom_group off to on");
}

static void cores_that_follow_the_quota_are_told(void **state)
{
	struct details d;
	struct changes c;
	struct limits old;
	struct limits new;

	(void)state;
	limits_init(&old);
	limits_init(&new);
	old.value[LIMIT_CORES] = 2;
	new.value[LIMIT_CORES] = LIMIT_CORES_AUTO;
	changes_init(&c);
	changes_limits(&c, &old, &new);
	assert_string_equal(changes_end(&c),
		"{\"changes\":{\"limits.core_auto\":{\"old\":false,\"new\":true},"
		"\"limits.core_count\":{\"old\":2,\"new\":null}}}");
	assert_string_equal(c.text, "cores 2 to auto");
	changes_init(&c);
	old.value[LIMIT_CORES] = LIMIT_UNSET;
	changes_limits(&c, &new, &old);
	assert_string_equal(changes_end(&c),
		"{\"changes\":{\"limits.core_auto\":{\"old\":true,\"new\":false}}}");
	assert_string_equal(c.text, "cores auto to none");
	details_init(&d);
	details_limits(&d, &new);
	assert_string_equal(details_end(&d), "{\"limits.core_auto\":true}");
}

static void no_change_is_none(void **state)
{
	struct changes c;
	struct limits l;

	(void)state;
	limits_init_tenant_default(&l);
	changes_init(&c);
	changes_limits(&c, &l, &l);
	assert_int_equal(c.n, 0);
	assert_string_equal(changes_end(&c), "{\"changes\":{}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_put_together),
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(changes_are_told_old_and_new),
		cmocka_unit_test(cores_that_follow_the_quota_are_told),
		cmocka_unit_test(no_change_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
