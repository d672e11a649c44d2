/*
 * Setting and lifting holds; see hold.h.
 *
 * A hold is in memory first, so that nothing starts any more; with the first one the kernel freezes
 * the tenant; then it is committed. Whoever dies before that has suspended nobody: the next
 * reconciliation thaws. Lifting goes the other way: commit, then thaw. What cannot be frozen is no
 * reason not to suspend: it is stopped.
 */
#include "server/tenant_hold.h"

#include "base/log.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/hold.h"
#include "server/link.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"
#include "server/tenant_op.h"
#include "server/tenant_update.h"

#include <stdio.h>
#include <string.h>

static int send_freeze(struct tenant_op *op, supervisor_reply_fn reply, struct err *err)
{
	struct msg_freeze msg = {.frozen = true};

	memcpy(msg.tenant, op->tenant->name, sizeof(msg.tenant));
	return link_send(op->server->link, MSG_TENANT_FREEZE, &msg, NULL, 0, reply, op, err);
}

static void fill_details(struct details *d, enum hold_type type, const struct hold *hold, bool own)
{
	details_init(d);
	details_text(d, "hold", hold_name(type));
	details_text(d, "reason", own && !hold->told ? "" : hold->reason);
}

static void fill_hold_details(
	struct details *d, enum hold_type type, const struct hold *hold, bool own)
{
	fill_details(d, type, hold, own);
	details_bool(d, "told", hold->told);
	if (hold->grace_s == HOLD_GRACE_NEVER)
		details_null(d, "grace_seconds");
	else
		details_int(d, "grace_seconds", hold->grace_s);
	if (!own)
		details_text(d, "set_by", hold->set_by);
}

/* An event about a hold, of which the tenant is told what it may know. */
static void add_hold_event(struct db_tx *tx, const struct tenant *t, const char *type,
	enum hold_type hold_type, const struct hold *hold)
{
	struct details all;
	struct details own;

	fill_hold_details(&all, hold_type, hold, false);
	fill_hold_details(&own, hold_type, hold, true);
	events_add_tenant_own(tx, t, type, details_end(&all), details_end(&own),
		"the %s hold on tenant %s was %s%s%s", hold_name(hold_type), t->name,
		strrchr(type, '_') + 1, hold->told && hold->reason[0] ? ": " : "",
		hold->told ? hold->reason : "");
}

static void add_tenant_event(struct db_tx *tx, const struct tenant *t, const char *type,
	enum hold_type hold_type, const struct hold *hold)
{
	struct details all;
	struct details own;

	fill_details(&all, hold_type, hold, false);
	fill_details(&own, hold_type, hold, true);
	events_add_tenant_own(tx, t, type, details_end(&all), details_end(&own),
		"tenant %s was %s (%s)", t->name, strrchr(type, '.') + 1, hold_name(hold_type));
}

/* --- SuspendTenant --- */

/* What was put off for it meanwhile goes on. */
static void take_back(struct tenant_op *op, const struct err *err)
{
	struct tenant *t = op->tenant;

	t->holds[op->hold_type] = op->hold;
	hold_refresh(t);
	snapshot_schedule_wake(op->server);
	hold_drop_ended(op->server, t);
	if (!t->suspended) {
		hold_thaw(op->server, t, NULL, NULL);
		hold_release(op->server, t);
	}
	tenant_op_fail(op, err);
}

static void on_suspended(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;

	if (err) {
		take_back(op, err);
		return;
	}
	log_info("tenant-suspended tenant=%s hold=%s", t->name, hold_name(op->hold_type));
	if (op->unfrozen)
		hold_stop(op->server, t);
	hold_watch(op->server, t);
	tenant_op_reply(op);
}

static void commit_hold(struct tenant_op *op)
{
	struct db_tx *tx = db_tx_new_essential();
	const struct tenant *t = op->tenant;
	const struct hold *hold = &t->holds[op->hold_type];

	store_put_hold(tx, t, op->hold_type);
	add_hold_event(tx, t, op->hold.set ? "tenant.hold_changed" : "tenant.hold_added",
		op->hold_type, hold);
	if (op->first_hold)
		add_tenant_event(tx, t, "tenant.suspended", op->hold_type, hold);
	tenant_op_commit(op, tx, on_suspended);
}

static void on_frozen(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct tenant_op *op = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err && !strcmp(err->reason, "SUPERVISOR_GONE")) {
		take_back(op, err);
		return;
	}
	if (err)
		log_warning("tenant-not-frozen tenant=%s error=\"%s\"", op->tenant->name, err->msg);
	op->unfrozen = err;
	commit_hold(op);
}

/* From now on, so that nothing starts while the kernel is at it. */
static void set_hold(struct tenant_op *op, const struct hold *hold)
{
	struct tenant *t = op->tenant;
	struct err err;

	op->hold = t->holds[op->hold_type];
	op->first_hold = !t->suspended;
	if (op->first_hold && send_freeze(op, on_frozen, &err) < 0) {
		tenant_op_fail(op, &err);
		return;
	}
	t->holds[op->hold_type] = *hold;
	hold_refresh(t);
	if (!op->first_hold)
		commit_hold(op);
}

void tenant_hold_set(struct server *server, struct tenant *t, enum hold_type type,
	const struct hold *hold, void (*done)(void *arg, const struct err *err), void *arg)
{
	struct tenant_op *op = tenant_op_begin_own(server, t, done, arg);

	if (!op)
		return;
	op->hold_type = type;
	set_hold(op, hold);
}

static int read_type(Croft__V1__Hold__Type type, enum hold_type *ret, struct err *err)
{
	if (type < 0 || type > CROFT__V1__HOLD__TYPE__OPERATOR)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "HOLD_INVALID", "type",
			"there is no hold of type %d: billing, abuse and operator are", (int)type);
	*ret = type ? (enum hold_type)(type - 1) : HOLD_OPERATOR;
	return 0;
}

static int read_grace(
	const Croft__V1__SuspendTenantRequest *request, int64_t *grace_s, struct err *err)
{
	const Google__Protobuf__Duration *grace = request->grace;

	if (grace && (request->keep_frozen || grace->nanos || grace->seconds < 0 ||
			     grace->seconds > HOLD_GRACE_MAX_S))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "GRACE_INVALID", "grace",
			request->keep_frozen
				? "what is kept frozen has no grace: leave one of both out"
				: "a grace is 0 seconds to 366 days, in whole seconds");
	if (grace)
		*grace_s = grace->seconds;
	else if (request->keep_frozen)
		*grace_s = HOLD_GRACE_NEVER;
	return 0;
}

/* What the hold is to become, from what it is. */
static int read_hold(struct mutation *m, const Croft__V1__SuspendTenantRequest *request,
	enum hold_type type, struct hold *hold, struct err *err)
{
	int r = tenant_check_text("reason", request->reason, HOLD_REASON_MAX, err);
	struct actor caller;

	if (r == 0 && !request->reason[0] && type == HOLD_OPERATOR)
		r = err_set_subject(err, ERR_INVALID_ARGUMENT, "REASON_MISSING", "reason",
			"say why the tenant is suspended: who resumes it must know");
	if (r < 0)
		return r;
	if (!hold->set) {
		hold->set_wall_usec = clock_wall_usec();
		hold->grace_s = m->server->config->hold_grace_s;
		auth_actor(grpc_call_peer(m->call), &caller);
		memcpy(hold->set_by, caller.name, sizeof(hold->set_by));
	}
	hold->set = true;
	hold->told = request->tell;
	snprintf(hold->reason, sizeof(hold->reason), "%s", request->reason);
	return read_grace(request, &hold->grace_s, err);
}

static bool is_same(const struct hold *a, const struct hold *b)
{
	return a->set == b->set && a->told == b->told && a->grace_s == b->grace_s &&
	       !strcmp(a->reason, b->reason);
}

void tenant_suspend(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__SuspendTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct tenant_op *op;
	enum hold_type type = HOLD_OPERATOR;
	struct tenant *t;
	struct hold hold;
	struct err err;
	int r;

	if (!m)
		return;
	r = model_find_tenant(&m->server->model, request->name, &t, &err);
	if (r == 0)
		r = read_type(request->type, &type, &err);
	if (r == 0) {
		hold = t->holds[type];
		r = read_hold(m, request, type, &hold, &err);
	}
	if (r < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	op->hold_type = type;
	if (is_same(&hold, &t->holds[type]))
		tenant_op_reply(op);
	else
		set_hold(op, &hold);
}

/* --- ResumeTenant --- */

/* Whatever became of the thaw, the hold is gone; without a supervisor, the next one thaws. */
static void on_thawed(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;
	struct err failure;

	hold_release(op->server, t);
	if (!err || !strcmp(err->reason, "SUPERVISOR_GONE")) {
		tenant_op_reply(op);
		return;
	}
	failure = *err;
	err_wrap(&failure, 0,
		"tenant %s is not suspended any more, but still frozen; croftd goes on trying to "
		"thaw it",
		t->name);
	tenant_op_fail(op, &failure);
}

static void on_lifted(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;

	if (err) {
		tenant_op_fail(op, err);
		return;
	}
	memset(&t->holds[op->hold_type], 0, sizeof(op->hold));
	log_info("tenant-resumed tenant=%s hold=%s", t->name, hold_name(op->hold_type));
	hold_refresh(t);
	hold_watch(op->server, t);
	snapshot_schedule_wake(op->server);
	hold_drop_ended(op->server, t);
	if (t->suspended)
		tenant_op_reply(op);
	else
		hold_thaw(op->server, t, on_thawed, op);
}

/* Until the commit it is held; but the reply is what it is then. */
static void lift(struct tenant_op *op)
{
	struct db_tx *tx = db_tx_new_essential();
	struct tenant *t = op->tenant;
	enum hold_type list[HOLD_TYPE_N];

	op->hold = t->holds[op->hold_type];
	op->first_hold = hold_list(t, list) == 1;
	store_delete_hold(tx, t, op->hold_type);
	add_hold_event(tx, t, "tenant.hold_lifted", op->hold_type, &op->hold);
	if (op->first_hold) {
		store_release_held(tx, t);
		add_tenant_event(tx, t, "tenant.resumed", op->hold_type, &op->hold);
	}
	memset(&t->holds[op->hold_type], 0, sizeof(op->hold));
	hold_refresh(t);
	tenant_op_commit(op, tx, on_lifted);
	t->holds[op->hold_type] = op->hold;
	hold_refresh(t);
}

/* One that is not there may have been lifted before, and its thaw have failed. */
static void lift_or_thaw(struct tenant_op *op)
{
	struct tenant *t = op->tenant;

	if (t->holds[op->hold_type].set)
		lift(op);
	else if (t->thaw_due && !t->suspended)
		hold_thaw(op->server, t, on_thawed, op);
	else
		tenant_op_reply(op);
}

void tenant_hold_lift(struct server *server, struct tenant *t, enum hold_type type,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct tenant_op *op = tenant_op_begin_own(server, t, done, arg);

	if (!op)
		return;
	op->hold_type = type;
	lift_or_thaw(op);
}

static int check_named(const struct tenant *t, Croft__V1__Hold__Type type, struct err *err)
{
	char names[HOLD_NAMES_SIZE];

	if (type || !t->suspended || t->holds[HOLD_OPERATOR].set)
		return 0;
	return err_set_subject(err, ERR_FAILED_PRECONDITION, "HOLD_NOT_FOUND", "type",
		"tenant %s has no operator hold; name the type of the one to lift: %s", t->name,
		hold_names(t, names));
}

void tenant_resume(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ResumeTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct tenant_op *op;
	enum hold_type type = HOLD_OPERATOR;
	struct tenant *t;
	struct err err;

	if (!m)
		return;
	if (model_find_tenant(&m->server->model, request->name, &t, &err) < 0 ||
		read_type(request->type, &type, &err) < 0 ||
		check_named(t, request->type, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	op->hold_type = type;
	lift_or_thaw(op);
}
