/* The plans of the model and the one rule of what they give; see plan.h. Writes nothing. */
#include "server/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan *plan_add(struct model *model, const char *name)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return NULL;
	snprintf(plan->name, sizeof(plan->name), "%s", name);
	model_make_uid(plan->uid);
	limits_init(&plan->limits);
	map_insert(&model->plans, &plan->by_name, plan->name);
	return plan;
}

void plan_remove(struct model *model, struct plan *plan)
{
	map_remove(&model->plans, &plan->by_name);
	free(plan);
}

struct plan *plan_any(const struct model *model, const char *name)
{
	struct map_node *node = map_find(&model->plans, name);

	return node ? map_object(node, struct plan, by_name) : NULL;
}

int plan_find(const struct model *model, const char *name, struct plan **ret, struct err *err)
{
	struct plan *plan = plan_any(model, *name ? name : PLAN_DEFAULT);

	if (!plan || !plan->visible)
		return err_set_subject(err, ERR_NOT_FOUND, "PLAN_NOT_FOUND", "plan",
			"there is no plan \"%.40s\"; create it first", name);
	*ret = plan;
	return 0;
}

int plan_find_resource(
	const struct model *model, const char *resource, struct plan **ret, struct err *err)
{
	char name[NAME_SIZE];
	int r = name_parse_in("plans", resource, name, err);

	return r < 0 ? r : plan_find(model, name, ret, err);
}

int plan_check_free(const struct plan *plan, struct err *err)
{
	return plan->changing ? err_set(err, ERR_ABORTED, "PLAN_BUSY",
					"plan %s is being changed; try again", plan->name)
			      : 0;
}

uint32_t plan_tenant_count(const struct model *model, const struct plan *plan)
{
	struct map_node *node;
	uint32_t n = 0;

	MAP_FOREACH(node, &model->tenants)
	n += !strcmp(map_object(node, struct tenant, by_name)->plan, plan->name);
	return n;
}

void plan_apply(
	const struct limits *plan, const struct limits *present, uint32_t own, struct limits *ret)
{
	struct limits limits = *plan;

	for (int i = 0; i < LIMIT_N; i++)
		if (own & (1u << i))
			limits.value[i] = present->value[i];
	if (own & (1u << LIMIT_CORES))
		memcpy(limits.core_mask, present->core_mask, sizeof(limits.core_mask));
	*ret = limits;
}

bool plan_is_ahead_of(const struct plan *plan, const struct tenant *tenant)
{
	struct limits wanted;

	plan_apply(&plan->limits, &tenant->limits, tenant->own_limits, &wanted);
	return !limits_equal(&wanted, &tenant->limits);
}

struct tenant *plan_next_behind(
	const struct model *model, const struct plan *plan, const char *after)
{
	struct map_node *node;

	while ((node = map_after(&model->tenants, after))) {
		struct tenant *t = map_object(node, struct tenant, by_name);

		after = t->name;
		if (!strcmp(t->plan, plan->name) && plan_is_ahead_of(plan, t))
			return t;
	}
	return NULL;
}
