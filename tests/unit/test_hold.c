/* server/hold.h: the stack of holds, its order, and who is told what. */
#include "server/hold.h"

#include "tests/unit/unit.h"

#include <string.h>

static void set(struct tenant *t, enum hold_type type, int64_t wall, const char *reason, bool told)
{
	struct hold *hold = &t->holds[type];

	*hold = (struct hold){.set = true, .told = told, .set_wall_usec = wall, .grace_s = 60};
	snprintf(hold->reason, sizeof(hold->reason), "%s", reason);
	hold_refresh(t);
}

static void names_go_both_ways(void **state)
{
	enum hold_type type;

	(void)state;
	for (int i = 0; i < HOLD_TYPE_N; i++) {
		assert_int_equal(hold_parse(hold_name((enum hold_type)i), &type), 0);
		assert_int_equal(type, i);
	}
	assert_int_equal(hold_parse("", &type), -EINVAL);
	assert_int_equal(hold_parse("Abuse", &type), -EINVAL);
}

static void the_longest_standing_is_first(void **state)
{
	struct tenant t = {.name = "acme"};
	enum hold_type list[HOLD_TYPE_N];
	char names[HOLD_NAMES_SIZE];

	(void)state;
	assert_int_equal(hold_list(&t, list), 0);
	assert_string_equal(hold_names(&t, names), "");
	set(&t, HOLD_BILLING, 30, "", false);
	set(&t, HOLD_ABUSE, 10, "", false);
	set(&t, HOLD_OPERATOR, 20, "", false);
	assert_int_equal(hold_list(&t, list), 3);
	assert_string_equal(hold_names(&t, names), "abuse, operator, billing");
	t.holds[HOLD_ABUSE].set = false;
	hold_refresh(&t);
	assert_true(t.suspended);
	assert_string_equal(hold_names(&t, names), "operator, billing");
}

static void a_refusal_tells_what_may_be_told(void **state)
{
	struct tenant t = {.name = "acme"};
	struct err err;

	(void)state;
	assert_int_equal(hold_check(&t, &err), 0);
	set(&t, HOLD_ABUSE, 1, "scans of the bank", false);
	set(&t, HOLD_BILLING, 2, "bill 7", true);
	assert_true(hold_check(&t, &err) < 0);
	assert_string_equal(err.reason, "TENANT_SUSPENDED");
	assert_non_null(strstr(err.msg, "(abuse; billing: bill 7)"));
	assert_null(strstr(err.msg, "bank"));
}

static void the_longest_reasons_fit(void **state)
{
	struct tenant t = {.name = "acme"};
	char reason[HOLD_REASON_MAX + 1];
	struct err err;

	(void)state;
	memset(reason, 'x', HOLD_REASON_MAX);
	reason[HOLD_REASON_MAX] = '\0';
	for (int i = 0; i < HOLD_TYPE_N; i++)
		set(&t, (enum hold_type)i, i, reason, true);
	assert_true(hold_check(&t, &err) < 0);
	assert_non_null(strstr(err.msg, "operator: x"));
	assert_non_null(strstr(err.msg, "can resume it"));
}

static void a_grace_counts_from_its_beginning(void **state)
{
	struct hold hold = {.set = true, .set_wall_usec = 5000000, .grace_s = 60};

	(void)state;
	assert_int_equal(hold_stop_wall_usec(&hold), 65000000);
	hold.grace_s = 0;
	assert_int_equal(hold_stop_wall_usec(&hold), 5000000);
	hold.grace_s = HOLD_GRACE_NEVER;
	assert_int_equal(hold_stop_wall_usec(&hold), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_go_both_ways),
		cmocka_unit_test(the_longest_standing_is_first),
		cmocka_unit_test(a_refusal_tells_what_may_be_told),
		cmocka_unit_test(the_longest_reasons_fit),
		cmocka_unit_test(a_grace_counts_from_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
