/*
 * UpdateTenant: what a request makes of a tenant's plan, limits and account. How that is brought
 * about is tenant_change.c's.
 */
#include "server/tenant_update.h"

#include "server/convert.h"
#include "server/plan.h"
#include "server/tenant_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int tenant_check_text(const char *field, const char *text, size_t max, struct err *err)
{
	size_t len = strlen(text);

	if (len > max)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TEXT_INVALID", field,
			"%s is longer than %zu bytes", field, max);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "TEXT_INVALID", field,
				"%s has control characters", field);
	return 0;
}

int tenant_check_reset_day(uint32_t day, struct err *err)
{
	if (day > TRAFFIC_RESET_DAY_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "RESET_DAY_INVALID",
			"traffic_reset_day",
			"traffic_reset_day %" PRIu32 " is no day of a month: give 1 to %d", day,
			TRAFFIC_RESET_DAY_MAX);
	return 0;
}

enum {
	OTHER_ACCOUNT = 1u << 0,
	OTHER_PLAN = 1u << 1,
	OTHER_NESTING = 1u << 2,
	OTHER_RESET_DAY = 1u << 3,
};

/* The limits that go back to what the plan says. */
static int read_resets(
	const Croft__V1__UpdateTenantRequest *request, uint32_t *ret, struct err *err)
{
	uint32_t set = 0;

	for (size_t i = 0; i < request->n_reset_limits; i++) {
		enum limit_id id;

		if (limit_find(request->reset_limits[i], &id) < 0)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID",
				"reset_limits", "there is no limit called \"%.40s\"",
				request->reset_limits[i]);
		set |= 1u << id;
	}
	*ret = set;
	return 0;
}

/* What the request sets for the tenant itself lies above what the plan gives. */
static int fill_limits(struct tenant_op *op, const Croft__V1__UpdateTenantRequest *request,
	const struct limits *own, uint32_t set, struct err *err)
{
	const struct model *model = &op->server->model;
	struct plan *plan = NULL;
	uint32_t reset = 0;
	int r = plan_find(model, op->plan, &plan, err);

	if (r == 0)
		r = read_resets(request, &reset, err);
	if (r == 0)
		r = plan_check_free(plan, err);
	if (r < 0)
		return r;
	if (reset & set)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID", "reset_limits",
			"a limit cannot be set and go back to the plan's at once");
	tenant_op_hold_plan(op, plan);
	op->own_limits = (op->own_limits | set) & ~reset;
	plan_apply(&plan->limits, own, op->own_limits, &op->limits);
	op->disk_unenforced = op->disk_unenforced && !(set & (1u << LIMIT_DISK));
	return 0;
}

/* True when the request concerns the plan: else a tenant that is behind its plan stays so. */
static bool asks_plan(const Croft__V1__UpdateTenantRequest *request, unsigned others)
{
	return (others & OTHER_PLAN) || request->n_reset_limits;
}

static int fill(
	struct tenant_op *op, const Croft__V1__UpdateTenantRequest *request, struct err *err)
{
	static const char *const others[] = {
		"account_ref", "plan", "nesting", "traffic_reset_day", NULL};
	const Croft__V1__Tenant *t = request->tenant;
	struct limits_update update;
	struct limits own;
	int r;

	tenant_op_copy(op);
	own = op->limits;
	r = convert_limits_update(
		t->limits, request->update_mask, true, others, &own, &update, err);
	if (r == 0 && (update.others & OTHER_ACCOUNT)) {
		r = tenant_check_text("account_ref", t->account_ref, ACCOUNT_REF_MAX, err);
		if (r == 0)
			snprintf(op->account_ref, sizeof(op->account_ref), "%s", t->account_ref);
	}
	if (r == 0 && (update.others & OTHER_PLAN)) {
		r = name_check("plan", t->plan, err);
		if (r == 0)
			snprintf(op->plan, sizeof(op->plan), "%s", t->plan);
	}
	if (r == 0 && (update.others & OTHER_RESET_DAY)) {
		r = tenant_check_reset_day(t->traffic_reset_day, err);
		op->traffic_reset_day = t->traffic_reset_day ? t->traffic_reset_day : 1;
	}
	if (r < 0)
		return r;
	if (update.others & OTHER_NESTING)
		op->nesting = t->nesting;
	if (asks_plan(request, update.others))
		return fill_limits(op, request, &own, update.limits, err);
	op->limits = own;
	op->own_limits |= update.limits;
	/* Also for what it has already: a limit that is asked for is held or refused. */
	op->disk_unenforced = op->disk_unenforced && !(update.limits & (1u << LIMIT_DISK));
	return 0;
}

void tenant_update(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__UpdateTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct tenant_op *op;
	struct tenant *t;
	struct err err;
	int r;

	if (!m)
		return;
	r = request->tenant ? model_find_tenant(&m->server->model, request->tenant->name, &t, &err)
			    : err_set_subject(&err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "tenant",
				      "the request names no tenant");
	if (r < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	op->force = request->force;
	if (fill(op, request, &err) == 0)
		tenant_change(op);
	else
		tenant_op_fail(op, &err);
}
