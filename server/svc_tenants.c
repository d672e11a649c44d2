/*
 * The service Tenants: making, reading, binding, suspending. Changes of limits are in
 * tenant_update.c, deletion in tenant_delete.c. Validates everything before anything is written.
 */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/convert.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/page.h"
#include "server/plan.h"
#include "server/reconcile.h"
#include "server/store.h"
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
	return t ? tenant_check_text("account_ref", t->account_ref, ACCOUNT_REF_MAX, err) : 0;
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
	}
	t->created_wall_usec = clock_wall_usec();
	return cores_resolve_tenant(
		&server->model, server->host.cpu_mask, t, &t->limits, t->cpus, err);
}

static void fail_new(struct tenant_op *op, const struct err *err)
{
	model_remove_tenant(&op->server->model, op->tenant);
	tenant_op_fail(op, err);
}

/* The supervisor has it, but it is not to be. */
static void take_back_new(struct tenant_op *op, const struct err *err)
{
	struct msg_tenant msg = {0};
	struct err ignored;

	memcpy(msg.tenant, op->tenant->name, sizeof(msg.tenant));
	link_send(op->server->link, MSG_TENANT_REMOVE, &msg, NULL, 0, NULL, NULL, &ignored);
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
	t->ready = true;
	run_adopt_tenant(op->server, t, fds, n_fds);
	tx = db_tx_new();
	store_put_tenant(tx, t);
	add_created_event(tx, t);
	tenant_op_commit(op, tx, on_created);
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
	struct tenant *t;
	struct err err;

	if (model_find_tenant(&server->model, request->name, &t, &err) < 0)
		grpc_fail(call, &err);
	else
		grpc_reply(call, convert_tenant(t, &out));
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
		convert_tenant(map_object(nodes[i], struct tenant, by_name), &messages[i]);
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

/* --- SuspendTenant, ResumeTenant --- */

static void send_freeze(struct server *server, const struct tenant *t, bool frozen)
{
	struct msg_freeze msg = {.frozen = frozen};
	struct err err;

	memcpy(msg.tenant, t->name, sizeof(msg.tenant));
	link_send(server->link, MSG_TENANT_FREEZE, &msg, NULL, 0, NULL, NULL, &err);
}

static void on_suspended(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;

	if (err) {
		t->suspended = !op->suspend;
		snprintf(t->suspend_reason, sizeof(t->suspend_reason), "%s", op->reason);
		send_freeze(op->server, t, t->suspended);
		tenant_op_fail(op, err);
		return;
	}
	log_info("tenant-%s tenant=%s", op->suspend ? "suspended" : "resumed", t->name);
	tenant_op_reply(op);
}

/* Of a resumption: what it was suspended for. */
static void add_suspend_event(struct db_tx *tx, const struct tenant_op *op)
{
	const struct tenant *t = op->tenant;
	struct details d;

	details_init(&d);
	details_text(&d, "reason", op->suspend ? t->suspend_reason : op->reason);
	if (op->suspend)
		events_add_tenant(tx, t, "tenant.suspended", details_end(&d),
			"tenant %s was suspended: %s", t->name, t->suspend_reason);
	else
		events_add_tenant(
			tx, t, "tenant.resumed", details_end(&d), "tenant %s was resumed", t->name);
}

static void on_frozen(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;
	struct db_tx *tx;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err) {
		t->suspended = !op->suspend;
		snprintf(t->suspend_reason, sizeof(t->suspend_reason), "%s", op->reason);
		tenant_op_fail(op, err);
		return;
	}
	tx = db_tx_new_essential();
	store_put_tenant(tx, t);
	add_suspend_event(tx, op);
	tenant_op_commit(op, tx, on_suspended);
}

/* op->reason keeps the text that there was before, for the way back. */
static void set_suspended(struct mutation *m, const char *name, bool suspend, const char *reason)
{
	struct msg_freeze msg = {.frozen = suspend};
	struct tenant_op *op;
	struct tenant *t;
	struct err err;

	if (model_find_tenant(&m->server->model, name, &t, &err) < 0 ||
		tenant_check_text("reason", reason, SUSPEND_REASON_MAX, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	if (t->suspended == suspend && (!suspend || !strcmp(reason, t->suspend_reason))) {
		tenant_op_reply(op);
		return;
	}
	op->suspend = suspend;
	memcpy(op->reason, t->suspend_reason, sizeof(op->reason));
	memcpy(msg.tenant, t->name, sizeof(msg.tenant));
	if (link_send(op->server->link, MSG_TENANT_FREEZE, &msg, NULL, 0, on_frozen, op, &err) <
		0) {
		tenant_op_fail(op, &err);
		return;
	}
	/* From now on, so that nothing starts while the kernel is at it. */
	t->suspended = suspend;
	snprintf(t->suspend_reason, sizeof(t->suspend_reason), "%s", suspend ? reason : "");
}

static void suspend_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__SuspendTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);

	struct err err;

	if (m && !request->reason[0]) {
		err_set_subject(&err, ERR_INVALID_ARGUMENT, "REASON_MISSING", "reason",
			"say why the tenant is suspended: who resumes it must know");
		mutation_fail(m, &err);
	} else if (m) {
		set_suspended(m, request->name, true, request->reason);
	}
}

static void resume_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ResumeTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);

	if (m)
		set_suspended(m, request->name, false, "");
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
	{.path = "/croft.v1.Tenants/SuspendTenant", .start = suspend_tenant},
	{.path = "/croft.v1.Tenants/ResumeTenant", .start = resume_tenant},
	{.path = "/croft.v1.Tenants/BindTenant", .start = bind_tenant},
	{.path = "/croft.v1.Tenants/DeleteTenant", .start = delete_tenant},
	{.path = NULL},
};
