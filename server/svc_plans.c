/*
 * The service Plans. A change is committed first and rolled out after (plan_rollout.c), so that a
 * plan never says less than what its tenants already have.
 */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "croft/v1/plans.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "server/convert.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/events.h"
#include "server/mutation.h"
#include "server/page.h"
#include "server/plan_rollout.h"
#include "server/store.h"

#include <string.h>

/* --- messages --- */

/* A plan as a message; `refusals` is the caller's, big enough for those behind. */
struct plan_message {
	Croft__V1__Plan msg;
	struct limits_message limits;
	Google__Protobuf__Timestamp created;
	char name[RESOURCE_SIZE];
	struct refusal {
		Croft__V1__PlanRefusal msg;
		char tenant[RESOURCE_SIZE];
	} * refusals;			 /* owned */
	Croft__V1__PlanRefusal **behind; /* owned */
};

static void plan_message_finish(struct plan_message *out)
{
	free(out->refusals);
	free(out->behind);
}

static int fill_behind(const struct model *model, const struct plan *plan, struct plan_message *out)
{
	const struct tenant *t = NULL;
	size_t n = 0;

	while ((t = plan_next_behind(model, plan, t ? t->name : "")))
		n++;
	if (!n)
		return 0;
	out->refusals = calloc(n, sizeof(*out->refusals));
	out->behind = calloc(n, sizeof(*out->behind));
	if (!out->refusals || !out->behind)
		return -ENOMEM;
	while (out->msg.n_behind < n && (t = plan_next_behind(model, plan, t ? t->name : ""))) {
		struct refusal *refusal = &out->refusals[out->msg.n_behind];

		croft__v1__plan_refusal__init(&refusal->msg);
		snprintf(refusal->tenant, sizeof(refusal->tenant), "tenants/%s", t->name);
		refusal->msg.tenant = refusal->tenant;
		if (t->plan_refusal)
			refusal->msg.message = t->plan_refusal;
		out->behind[out->msg.n_behind++] = &refusal->msg;
	}
	out->msg.behind = out->behind;
	return 0;
}

/* Points into the model; plan_message_finish() it in any case. Returns 0 or -ENOMEM. */
static int plan_message_fill(
	const struct model *model, const struct plan *plan, struct plan_message *out)
{
	memset(out, 0, sizeof(*out));
	croft__v1__plan__init(&out->msg);
	snprintf(out->name, sizeof(out->name), "plans/%s", plan->name);
	convert_limits(&plan->limits, &out->limits);
	convert_time(plan->created_wall_usec, &out->created);
	out->msg.name = out->name;
	out->msg.uid = (char *)plan->uid;
	out->msg.limits = &out->limits.msg;
	out->msg.create_time = &out->created;
	out->msg.tenant_count = plan_tenant_count(model, plan);
	return fill_behind(model, plan, out);
}

/* --- the frame of a change --- */

struct plan_op {
	struct mutation *mutation;
	struct server *server;
	struct plan *plan; /* stays while it is `changing` */
	struct limits limits;
	bool force;
};

static struct plan_op *begin(struct mutation *m, struct plan *plan)
{
	struct plan_op *op;
	struct err err;

	if (plan_check_free(plan, &err) < 0) {
		mutation_fail(m, &err);
		return NULL;
	}
	op = calloc(1, sizeof(*op));
	if (!op) {
		err_oom(&err);
		mutation_fail(m, &err);
		return NULL;
	}
	op->mutation = m;
	op->server = m->server;
	op->plan = plan;
	plan->changing = true;
	return op;
}

static void fail(struct plan_op *op, const struct err *err)
{
	op->plan->changing = false;
	mutation_fail(op->mutation, err);
	free(op);
}

static void reply(void *arg)
{
	struct plan_op *op = arg;
	struct plan_message out;
	struct err err;

	op->plan->changing = false;
	if (plan_message_fill(&op->server->model, op->plan, &out) < 0) {
		err_oom(&err);
		mutation_fail(op->mutation, &err);
	} else {
		mutation_reply(op->mutation, &out.msg.base);
	}
	plan_message_finish(&out);
	free(op);
}

/* Commits tx with the plan as it is now as the stored reply. */
static void commit(struct plan_op *op, struct db_tx *tx, db_done_fn done)
{
	struct plan_message out;

	if (plan_message_fill(&op->server->model, op->plan, &out) < 0) {
		db_tx_free(tx);
		tx = NULL;
	} else {
		mutation_store(op->mutation, tx, &out.msg.base);
	}
	plan_message_finish(&out);
	db_commit(op->server->db, tx, done, op);
}

/* --- CreatePlan --- */

static int check_new(const struct model *model, const char *name, struct err *err)
{
	int r = name_check("plan", name, err);

	if (r < 0)
		return r;
	if (plan_any(model, name))
		return err_set(
			err, ERR_ALREADY_EXISTS, "PLAN_EXISTS", "there is a plan %s already", name);
	if (model->plans.n >= PLANS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_PLANS", "plans",
			"this host has %d plans, which is the most", PLANS_MAX);
	return 0;
}

static void on_created(void *arg, const struct err *err)
{
	struct plan_op *op = arg;

	if (err) {
		struct plan *plan = op->plan;
		struct server *server = op->server;

		fail(op, err);
		plan_remove(&server->model, plan);
		return;
	}
	op->plan->visible = true;
	log_info("plan-created plan=%s", op->plan->name);
	reply(op);
}

static void add_created_event(struct db_tx *tx, const struct plan *plan)
{
	struct details d;

	details_init(&d);
	details_text(&d, "plan", plan->name);
	details_text(&d, "uid", plan->uid);
	details_open(&d, "limits");
	details_limits(&d, &plan->limits);
	events_add_host(tx, "plan.created", details_end(&d), "plan %s was created", plan->name);
}

static void create_plan(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CreatePlanRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct limits_update update;
	struct limits limits;
	struct plan_op *op;
	struct plan *plan;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	/* What is not named is as in `default`: nobody sells the whole host by leaving out a word.
	 */
	limits = plan_any(&m->server->model, PLAN_DEFAULT)->limits;
	if (check_new(&m->server->model, request->plan_id, &err) < 0 ||
		convert_limits_update(request->plan ? request->plan->limits : NULL, NULL, true,
			NULL, &limits, &update, &err) < 0 ||
		cores_check_plan(&limits, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	plan = plan_add(&m->server->model, request->plan_id);
	if (!plan) {
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	op = begin(m, plan);
	if (!op) {
		plan_remove(&m->server->model, plan);
		return;
	}
	plan->limits = limits;
	plan->created_wall_usec = clock_wall_usec();
	tx = db_tx_new();
	store_put_plan(tx, plan);
	add_created_event(tx, plan);
	commit(op, tx, on_created);
}

/* --- GetPlan, ListPlans --- */

static void get_plan(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetPlanRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct plan_message out;
	struct plan *plan;
	struct err err;

	if (plan_find_resource(&server->model, request->name, &plan, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	if (plan_message_fill(&server->model, plan, &out) < 0) {
		err_oom(&err);
		grpc_fail(call, &err);
	} else {
		grpc_reply(call, &out.msg.base);
	}
	plan_message_finish(&out);
}

/* A page's plans. Returns the number filled, or -ENOMEM; `after` ends at the last one looked at. */
static int fill_page(const struct model *model, size_t size, const char **after,
	struct plan_message *messages, Croft__V1__Plan **list)
{
	struct map_node *node;
	size_t n = 0;

	while (n < size && (node = map_after(&model->plans, *after))) {
		struct plan *plan = map_object(node, struct plan, by_name);

		*after = plan->name;
		if (!plan->visible)
			continue;
		list[n] = &messages[n].msg;
		if (plan_message_fill(model, plan, &messages[n++]) < 0)
			return -ENOMEM;
	}
	return (int)n;
}

static void list_plans(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListPlansRequest *request = (const void *)message;
	Croft__V1__ListPlansResponse response = CROFT__V1__LIST_PLANS_RESPONSE__INIT;
	struct server *server = grpc_call_app(call);
	_cleanup_free_ struct plan_message *messages = NULL;
	_cleanup_free_ Croft__V1__Plan **list = NULL;
	char token[PAGE_TOKEN_SIZE];
	const char *after;
	struct page page;
	struct err err;
	int n = -ENOMEM;

	if (page_parse("p", request->page_size, request->page_token, &page, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	after = page.after;
	messages = calloc(page.size, sizeof(*messages));
	list = calloc(page.size, sizeof(Croft__V1__Plan *));
	if (messages && list)
		n = fill_page(&server->model, page.size, &after, messages, list);
	if (n < 0) {
		err_oom(&err);
		grpc_fail(call, &err);
	} else {
		response.n_plans = (size_t)n;
		response.plans = list;
		if ((size_t)n == page.size && map_after(&server->model.plans, after))
			response.next_page_token = (char *)page_token("p", after, token);
		grpc_reply(call, &response.base);
	}
	for (size_t i = 0; messages && i < page.size; i++)
		plan_message_finish(&messages[i]);
}

/* --- UpdatePlan --- */

static void on_updated(void *arg, const struct err *err)
{
	struct plan_op *op = arg;
	struct err failure;

	if (err) {
		op->plan->limits = op->limits;
		fail(op, err);
		return;
	}
	log_info("plan-updated plan=%s", op->plan->name);
	if (plan_rollout(op->server, op->plan, op->force, reply, op, &failure) < 0)
		fail(op, &failure);
}

/* op->limits are those that it had. */
static void add_updated_event(struct db_tx *tx, const struct plan_op *op)
{
	const struct plan *plan = op->plan;
	struct changes changes;

	changes_init(&changes);
	changes_limits(&changes, &op->limits, &plan->limits);
	details_close(&changes.details);
	details_text(&changes.details, "plan", plan->name);
	if (changes.n)
		events_add_host(tx, "plan.updated", changes_end(&changes),
			"plan %s was changed: %s", plan->name, changes.text);
}

/* Until the commit, op->limits are those that the plan had. */
static void update_plan(struct grpc_call *call, const ProtobufCMessage *message)
{
	static const char *const others[] = {NULL};
	const Croft__V1__UpdatePlanRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct limits_update update;
	struct limits limits;
	struct plan_op *op;
	struct plan *plan;
	struct db_tx *tx;
	struct err err;
	int r;

	if (!m)
		return;
	r = request->plan ? plan_find_resource(&m->server->model, request->plan->name, &plan, &err)
			  : err_set_subject(&err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "plan",
				    "the request names no plan");
	if (r == 0) {
		limits = plan->limits;
		r = convert_limits_update(request->plan->limits, request->update_mask, true, others,
			&limits, &update, &err);
	}
	if (r == 0)
		r = cores_check_plan(&limits, &err);
	if (r < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = begin(m, plan);
	if (!op)
		return;
	op->force = request->force;
	op->limits = plan->limits;
	plan->limits = limits;
	tx = db_tx_new();
	store_put_plan(tx, plan);
	add_updated_event(tx, op);
	commit(op, tx, on_updated);
}

/* --- DeletePlan --- */

static void on_deleted(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct plan_op *op = arg;

	if (err) {
		fail(op, err);
		return;
	}
	log_info("plan-deleted plan=%s", op->plan->name);
	plan_remove(&op->server->model, op->plan);
	mutation_reply(op->mutation, &empty.base);
	free(op);
}

static int check_delete(const struct model *model, const struct plan *plan, struct err *err)
{
	uint32_t n = plan_tenant_count(model, plan);

	if (!strcmp(plan->name, PLAN_DEFAULT))
		return err_set(err, ERR_FAILED_PRECONDITION, "PLAN_DEFAULT",
			"the plan %s cannot be deleted; change it with \"plan set\"", plan->name);
	if (n || plan->holds)
		return err_set(err, ERR_FAILED_PRECONDITION, "PLAN_IN_USE",
			"plan %s has %u tenant%s; put them on another plan first", plan->name,
			n + plan->holds, n + plan->holds == 1 ? "" : "s");
	return 0;
}

static void delete_plan(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeletePlanRequest *request = (const void *)message;
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct plan_op *op;
	struct plan *plan;
	struct details d;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (plan_find_resource(&m->server->model, request->name, &plan, &err) < 0 ||
		check_delete(&m->server->model, plan, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = begin(m, plan);
	if (!op)
		return;
	tx = db_tx_new();
	store_delete_plan(tx, plan);
	details_init(&d);
	details_text(&d, "plan", plan->name);
	details_text(&d, "uid", plan->uid);
	events_add_host(tx, "plan.deleted", details_end(&d), "plan %s was deleted", plan->name);
	mutation_store(m, tx, &empty.base);
	db_commit(op->server->db, tx, on_deleted, op);
}

const struct grpc_handler svc_plans_handlers[] = {
	{.path = "/croft.v1.Plans/CreatePlan", .start = create_plan},
	{.path = "/croft.v1.Plans/GetPlan", .start = get_plan},
	{.path = "/croft.v1.Plans/ListPlans", .start = list_plans},
	{.path = "/croft.v1.Plans/UpdatePlan", .start = update_plan},
	{.path = "/croft.v1.Plans/DeletePlan", .start = delete_plan},
	{.path = NULL},
};
