/* server/plan.h: what a plan gives a tenant, and who is behind it. */
#include "server/plan.h"

#include "tests/unit/unit.h"

#include <string.h>

static int make_model(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct plan *plan = plan_add(model, "small");

	plan->visible = true;
	plan->limits.value[LIMIT_PIDS] = 100;
	plan->limits.value[LIMIT_CORES] = 2;
	*state = model;
	return 0;
}

static int drop_model(void **state)
{
	model_finish(*state);
	free(*state);
	return 0;
}

static struct tenant *add(struct model *model, const char *name, const char *plan)
{
	struct tenant *t = model_add_tenant(model, name);

	snprintf(t->plan, sizeof(t->plan), "%s", plan);
	t->limits = plan_any(model, "small")->limits;
	return t;
}

static void own_limits_stay_and_the_others_follow(void **state)
{
	struct plan *plan = plan_any(*state, "small");
	struct limits present;
	struct limits got;

	limits_init(&present);
	present.value[LIMIT_PIDS] = 7;
	present.value[LIMIT_MEMORY] = 1 << 30;
	present.core_mask[0] = 5;
	plan_apply(&plan->limits, &present, 0, &got);
	assert_true(limits_equal(&got, &plan->limits));
	plan_apply(&plan->limits, &present, 1u << LIMIT_PIDS, &got);
	assert_int_equal(got.value[LIMIT_PIDS], 7);
	/* Not its own, and not in the plan: none. */
	assert_true(got.value[LIMIT_MEMORY] == LIMIT_UNSET);
	assert_int_equal(got.value[LIMIT_CORES], 2);
	/* A list of cores of its own takes the place of the plan's number. */
	plan_apply(&plan->limits, &present, 1u << LIMIT_CORES, &got);
	assert_true(got.value[LIMIT_CORES] == LIMIT_UNSET);
	assert_int_equal(got.core_mask[0], 5);
	/* "None" can be one's own as well. */
	limits_init(&present);
	plan_apply(&plan->limits, &present, 1u << LIMIT_PIDS, &got);
	assert_true(got.value[LIMIT_PIDS] == LIMIT_UNSET);
}

static void who_is_behind_is_found_in_order(void **state)
{
	struct model *model = *state;
	struct plan *plan = plan_any(model, "small");
	struct tenant *b = add(model, "b", "small");
	struct tenant *a = add(model, "a", "small");
	struct tenant *c = add(model, "c", "default");

	assert_int_equal(plan_tenant_count(model, plan), 2);
	assert_null(plan_next_behind(model, plan, ""));
	plan->limits.value[LIMIT_PIDS] = 101;
	assert_ptr_equal(plan_next_behind(model, plan, ""), a);
	assert_ptr_equal(plan_next_behind(model, plan, "a"), b);
	assert_null(plan_next_behind(model, plan, "b"));
	a->own_limits = 1u << LIMIT_PIDS;
	assert_ptr_equal(plan_next_behind(model, plan, ""), b);
	assert_true(strcmp(c->plan, plan->name) != 0);
}

static void plans_are_found_by_name(void **state)
{
	struct plan *plan;
	struct err err;

	assert_int_equal(plan_find(*state, "small", &plan, &err), 0);
	assert_string_equal(plan->name, "small");
	assert_int_equal(plan_find_resource(*state, "plans/small", &plan, &err), 0);
	/* No name is the default plan, which this model does not have. */
	assert_true(plan_find(*state, "", &plan, &err) < 0);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_true(plan_find_resource(*state, "plans/../small", &plan, &err) < 0);
	plan->changing = true;
	assert_true(plan_check_free(plan, &err) < 0);
	assert_string_equal(err.reason, "PLAN_BUSY");
	plan->changing = false;
	plan->visible = false;
	assert_true(plan_find(*state, "small", &plan, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			own_limits_stay_and_the_others_follow, make_model, drop_model),
		cmocka_unit_test_setup_teardown(
			who_is_behind_is_found_in_order, make_model, drop_model),
		cmocka_unit_test_setup_teardown(plans_are_found_by_name, make_model, drop_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
