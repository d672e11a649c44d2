/*
 * The service Tenants: making, reading, binding. Changes of limits are in tenant_update.c, holds in
 * tenant_hold.c, deletion in tenant_delete.c. Validates everything before anything is written.
 */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/allowance.h"
#include "server/auth.h"
#include "server/convert.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/events.h"
#include "server/held.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/page.h"
#include "server/placer.h"
#include "server/plan.h"
#include "server/reconcile.h"
#include "server/store.h"
#include "server/tenant_hold.h"
#include "server/tenant_op.h"
#include "server/tenant_update.h"

#include <string.h>

/* --- CreateTenant --- */

static int check_new(
	struct server *server, const Croft__V1__CreateTenantRequest *request, struct err *err)
{
	const Croft__V1__Tenant *t = request->tenant;
	int r = name_check("tenant", request->tenant_id, err);

	if (r < 0)
		return r;
	if (model_any_tenant(&server->model, request->tenant_id))
		return err_set(err, ERR_ALREADY_EXISTS, "TENANT_EXISTS",
			"there is a tenant %s already", request->tenant_id);
	if (server->model.tenants.n >= TENANTS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_TENANTS", "tenants",
			"this host has %d tenants, which is the most", TENANTS_MAX);
	r = t ? tenant_check_text("account_ref", t->account_ref, ACCOUNT_REF_MAX, err) : 0;
	return t && r == 0 ? tenant_check_reset_day(t->traffic_reset_day, err) : r;
}

static int fill_new(struct server *server, const Croft__V1__CreateTenantRequest *request,
	struct tenant *t, struct err *err)
{
	const Croft__V1__Tenant *asked = request->tenant;
	struct limits_update update;
	struct limits own;
	struct plan *plan;
	int r = plan_find(&server->model, asked ? asked->plan : "", &plan, err);

	limits_init(&own);
	if (r == 0)
		r = plan_check_free(plan, err);
	if (r == 0)
		r = convert_limits_update(
			asked ? asked->limits : NULL, NULL, true, NULL, &own, &update, err);
	if (r < 0)
		return r;
	t->own_limits = update.limits;
	plan_apply(&plan->limits, &own, t->own_limits, &t->limits);
	memcpy(t->plan, plan->name, sizeof(t->plan));
	if (asked) {
		snprintf(t->account_ref, sizeof(t->account_ref), "%s", asked->account_ref);
		t->nesting = asked->nesting;
		t->traffic_reset_day = asked->traffic_reset_day ? asked->traffic_reset_day : 1;
	}
	t->created_wall_usec = clock_wall_usec();
	held_begin(&t->held);
	return cores_resolve_tenant(
		&server->model, placer_cpus(server), t, &t->limits, t->cpus, err);
}

static void fail_new(struct tenant_op *op, const struct err *err)
{
	model_remove_tenant(&op->server->model, op->tenant);
	tenant_op_fail(op, err);
}

static void on_taken_back(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct tenant_op *op = arg;
	struct err failure = op->err;

	(void)err;
	(void)reply;
	link_close_fds(fds, n_fds);
	fail_new(op, &failure);
}

/*
 * The supervisor has it, but it is not to be. That is answered when it is gone there, too: somebody
 * who asks for it again is not to meet what is left of it.
 */
static void take_back_new(struct tenant_op *op, const struct err *err)
{
	struct msg_tenant msg = {0};
	struct err ignored;
	struct db_tx *tx;

	op->err = *err;
	if (op->tenant->own.key) {
		tx = db_tx_new_essential();
		run_end_tenant(tx, op->tenant);
		db_commit(op->server->db, tx, NULL, NULL);
	}
	memcpy(msg.tenant, op->tenant->name, sizeof(msg.tenant));
	if (link_send(op->server->link, MSG_TENANT_REMOVE, &msg, NULL, 0, on_taken_back, op,
		    &ignored) < 0)
		fail_new(op, err);
}

static void on_created(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;

	if (err) {
		take_back_new(op, err);
		return;
	}
	op->tenant->visible = true;
	log_info("tenant-created tenant=%s", op->tenant->name);
	tenant_op_reply(op);
}

static void add_created_event(struct db_tx *tx, const struct tenant *t)
{
	struct details d;

	details_init(&d);
	details_text(&d, "uid", t->uid);
	details_text(&d, "plan", t->plan);
	details_text(&d, "account_ref", t->account_ref);
	details_bool(&d, "nesting", t->nesting);
	details_open(&d, "limits");
	details_limits(&d, &t->limits);
	events_add_tenant(
		tx, t, "tenant.created", details_end(&d), "tenant %s was created", t->name);
}

static void on_new_set(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds);

static int send_new(struct tenant_op *op, struct err *err)
{
	struct msg_tenant_set msg;

	reconcile_fill_tenant(op->tenant, false, &msg);
	return link_send(op->server->link, MSG_TENANT_SET, &msg, NULL, 0, on_new_set, op, err);
}

static void on_new_set(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct tenant_op *op = arg;
	struct server *server = op->server;
	struct tenant *t = op->tenant;
	struct err failure;
	struct db_tx *tx;

	(void)reply;
	if (err) {
		link_close_fds(fds, n_fds);
		failure = *err;
		/* Nobody asked for the plan's disk limit, so a pool without limits is no refusal.
		 */
		if (!strcmp(err->reason, "DISK_LIMIT_UNSUPPORTED") &&
			!tenant_owns_limit(t, LIMIT_DISK) && !t->disk_unenforced) {
			t->disk_unenforced = true;
			if (send_new(op, &failure) == 0)
				return;
		}
		take_back_new(op, &failure);
		return;
	}
	tx = db_tx_new();
	store_put_tenant(tx, t);
	allowance_begin(tx, t);
	add_created_event(tx, t);
	tenant_op_commit(op, tx, on_created);
	/* Its record begins behind the terms that it is billed by. */
	run_adopt_tenant(server, t, fds, n_fds);
}

static void create_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CreateTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct server *server = grpc_call_app(call);
	struct tenant_op *op;
	struct tenant *t;
	struct err err;
	int r;

	if (!m)
		return;
	if (check_new(server, request, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	t = model_add_tenant(&server->model, request->tenant_id);
	if (!t) {
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op) {
		model_remove_tenant(&server->model, t);
		return;
	}
	r = fill_new(server, request, t, &err);
	if (r == 0)
		r = send_new(op, &err);
	if (r < 0)
		fail_new(op, &err);
}

/* --- GetTenant, ListTenants --- */

static void get_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetTenantRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct tenant_message out;
	struct tenant *only;
	struct tenant *t;
	struct err err;

	if (model_find_tenant(&server->model, request->name, &t, &err) < 0 ||
		auth_tenant_of(server, grpc_call_peer(call), &only, &err) < 0)
		grpc_fail(call, &err);
	else
		grpc_reply(call, only ? convert_own_tenant(t, &out) : convert_tenant(t, &out));
}

/* only: the caller's tenant, or NULL for an operator. */
static bool may_be_seen(const struct map_node *node, const void *only)
{
	const struct tenant *t = map_object(node, struct tenant, by_name);

	return t->visible && (!only || t == only);
}

static void reply_tenants(struct grpc_call *call, struct server *server, const struct page *page,
	const struct tenant *only)
{
	Croft__V1__ListTenantsResponse reply = CROFT__V1__LIST_TENANTS_RESPONSE__INIT;
	_cleanup_free_ struct tenant_message *messages = calloc(page->size, sizeof(*messages));
	_cleanup_free_ Croft__V1__Tenant **list = calloc(page->size, sizeof(Croft__V1__Tenant *));
	_cleanup_free_ const struct map_node **nodes = calloc(page->size, sizeof(*nodes));
	char token[PAGE_TOKEN_SIZE];
	struct err err;

	if (!messages || !list || !nodes) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	reply.n_tenants = page_collect(
		page, "t", &server->model.tenants, may_be_seen, only, nodes, token);
	for (size_t i = 0; i < reply.n_tenants; i++) {
		const struct tenant *t = map_object(nodes[i], struct tenant, by_name);

		if (only)
			convert_own_tenant(t, &messages[i]);
		else
			convert_tenant(t, &messages[i]);
		list[i] = &messages[i].msg;
	}
	reply.next_page_token = token;
	reply.tenants = list;
	grpc_reply(call, &reply.base);
}

static void list_tenants(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListTenantsRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct tenant *only;
	struct page page;
	struct err err;

	if (auth_tenant_of(server, grpc_call_peer(call), &only, &err) < 0 ||
		page_parse("t", request->page_size, request->page_token, &page, &err) < 0)
		grpc_fail(call, &err);
	else
		reply_tenants(call, server, &page, only);
}

/* --- BindTenant --- */

static void on_bound(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct err failure;

	if (err) {
		tenant_op_fail(op, err);
		return;
	}
	if (model_bind(&op->server->model, op->tenant, op->uid, &failure) < 0) {
		tenant_op_fail(op, &failure);
		return;
	}
	log_info("tenant-bound tenant=%s uid=%u", op->tenant->name, op->uid);
	tenant_op_reply(op);
}

static int check_binding(
	const struct server *server, const struct tenant *t, uint32_t uid, struct err *err)
{
	const struct tenant *other = model_bound_tenant(&server->model, uid);

	if (uid == 0 || uid == UINT32_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "USER_INVALID", "uid",
			"user %u cannot be bound: %s", uid,
			uid ? "it is no user" : "root is an operator");
	if (other && other != t)
		return err_set(err, ERR_ALREADY_EXISTS, "USER_BOUND",
			"user %u is bound to tenant %s already", uid, other->name);
	if (t->n_uids == TENANT_UIDS_MAX && !other)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_USERS", "users",
			"%s has %d users already, which is the most", t->name, TENANT_UIDS_MAX);
	return 0;
}

static void bind_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__BindTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct tenant_op *op;
	struct details d;
	struct tenant *t;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (model_find_tenant(&m->server->model, request->name, &t, &err) < 0 ||
		check_binding(m->server, t, request->uid, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	if (model_bound_tenant(&op->server->model, request->uid)) {
		tenant_op_reply(op);
		return;
	}
	op->uid = request->uid;
	tx = db_tx_new();
	store_bind(tx, t, request->uid);
	details_init(&d);
	details_number(&d, "uid", request->uid);
	events_add_tenant(tx, t, "tenant.bound", details_end(&d), "user %u was bound to tenant %s",
		request->uid, t->name);
	tenant_op_commit(op, tx, on_bound);
}

/* --- DeleteTenant --- */

static void delete_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeleteTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct tenant_op *op;
	struct tenant *t;
	struct err err;

	if (!m)
		return;
	if (model_find_tenant(&m->server->model, request->name, &t, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	op->force = request->force;
	tenant_delete(op);
}

const struct grpc_handler svc_tenants_handlers[] = {
	{.path = "/croft.v1.Tenants/CreateTenant", .start = create_tenant},
	{.path = "/croft.v1.Tenants/GetTenant", .start = get_tenant},
	{.path = "/croft.v1.Tenants/ListTenants", .start = list_tenants},
	{.path = "/croft.v1.Tenants/UpdateTenant", .start = tenant_update},
	{.path = "/croft.v1.Tenants/SuspendTenant", .start = tenant_suspend},
	{.path = "/croft.v1.Tenants/ResumeTenant", .start = tenant_resume},
	{.path = "/croft.v1.Tenants/BindTenant", .start = bind_tenant},
	{.path = "/croft.v1.Tenants/DeleteTenant", .start = delete_tenant},
	{.path = NULL},
};
