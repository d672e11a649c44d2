/* server/operators.h: how often the user database is asked, and what of when it is not. */
#include "server/operators.h"

#include "tests/unit/unit.h"

#include <string.h>

#define KEPT_USEC (OPERATORS_KEPT_MS * UINT64_C(1000))

/* A host of its own: its clock, who is in the group, how often and for how long it was asked. */
static struct host {
	uint64_t now_usec;
	uint64_t takes_usec;
	uid_t member;
	unsigned asked;
} host;

static uint64_t now(void)
{
	return host.now_usec;
}

static bool ask(uid_t uid, const char *group)
{
	assert_string_equal(group, "wheel");
	host.asked++;
	host.now_usec += host.takes_usec;
	return uid == host.member;
}

static int set_up(void **state)
{
	static struct operators o;

	host = (struct host){.now_usec = 1, .member = 7};
	operators_init(&o, ask, "wheel", now);
	*state = &o;
	return 0;
}

static void a_user_is_asked_about_once_in_a_while(void **state)
{
	for (int i = 0; i < 1000; i++) {
		assert_true(operators_have(*state, 7));
		assert_false(operators_have(*state, 8));
	}
	assert_int_equal(host.asked, 2);
	host.member = 8;
	host.now_usec += KEPT_USEC - 1;
	assert_true(operators_have(*state, 7));
	assert_int_equal(host.asked, 2);
	host.now_usec++;
	assert_false(operators_have(*state, 7));
	assert_true(operators_have(*state, 8));
	assert_int_equal(host.asked, 4);
}

static void root_is_not_asked_about(void **state)
{
	assert_true(operators_have(*state, 0));
	assert_int_equal(host.asked, 0);
}

/* An answer that came late is no older than any other. */
static void a_slow_answer_is_kept_as_long(void **state)
{
	host.takes_usec = 2 * KEPT_USEC;
	for (int i = 0; i < 1000; i++)
		assert_true(operators_have(*state, 7));
	assert_int_equal(host.asked, 1);
}

static void a_user_of_many_ids_pushes_nobody_out(void **state)
{
	assert_true(operators_have(*state, 7));
	for (uid_t uid = 100000; uid < 100000 + 4 * OPERATORS_MAX; uid++)
		assert_false(operators_have(*state, uid));
	assert_int_equal(host.asked, OPERATORS_MAX);
	assert_true(operators_have(*state, 7));
	assert_int_equal(host.asked, OPERATORS_MAX);
	/* Who comes meanwhile is no operator, and is asked about afterwards. */
	host.member = 9;
	assert_false(operators_have(*state, 9));
	host.now_usec += KEPT_USEC;
	assert_true(operators_have(*state, 9));
	assert_int_equal(host.asked, OPERATORS_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_user_is_asked_about_once_in_a_while, set_up),
		cmocka_unit_test_setup(root_is_not_asked_about, set_up),
		cmocka_unit_test_setup(a_slow_answer_is_kept_as_long, set_up),
		cmocka_unit_test_setup(a_user_of_many_ids_pushes_nobody_out, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
