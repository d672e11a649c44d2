/* The frame of every change of a tenant; see tenant_op.h. */
#include "server/tenant_op.h"

#include "server/convert.h"
#include "server/plan.h"

#include <stdlib.h>
#include <string.h>

static struct tenant_op *make(struct server *server, struct tenant *tenant, struct err *err)
{
	struct tenant_op *op;

	if (tenant->changing || tenant->deleting) {
		err_set(err, ERR_ABORTED, "TENANT_BUSY", "tenant %s is being %s; try again",
			tenant->name, tenant->deleting ? "deleted" : "changed");
		return NULL;
	}
	op = calloc(1, sizeof(*op));
	if (!op) {
		err_oom(err);
		return NULL;
	}
	op->server = server;
	op->tenant = tenant_ref(tenant);
	tenant->changing = true;
	return op;
}

struct tenant_op *tenant_op_begin(struct mutation *mutation, struct tenant *tenant)
{
	struct err err;
	struct tenant_op *op = make(mutation->server, tenant, &err);

	if (op)
		op->mutation = mutation;
	else
		mutation_fail(mutation, &err);
	return op;
}

struct tenant_op *tenant_op_begin_own(struct server *server, struct tenant *tenant,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct err err;
	struct tenant_op *op = make(server, tenant, &err);

	if (!op) {
		done(arg, &err);
		return NULL;
	}
	op->done = done;
	op->arg = arg;
	return op;
}

void tenant_op_copy(struct tenant_op *op)
{
	const struct tenant *t = op->tenant;

	op->limits = t->limits;
	op->own_limits = t->own_limits;
	op->disk_unenforced = t->disk_unenforced;
	op->nesting = t->nesting;
	op->traffic_reset_day = t->traffic_reset_day;
	memcpy(op->plan, t->plan, sizeof(op->plan));
	memcpy(op->account_ref, t->account_ref, sizeof(op->account_ref));
}

void tenant_op_hold_plan(struct tenant_op *op, struct plan *plan)
{
	plan->holds++;
	op->plan_held = plan;
	memcpy(op->plan, plan->name, sizeof(op->plan));
}

void tenant_op_free(struct tenant_op *op)
{
	if (op->plan_held)
		op->plan_held->holds--;
	op->tenant->changing = false;
	tenant_unref(op->tenant);
	free(op);
}

/* Frees it first: what is told may begin the tenant's next change. */
static void tell(struct tenant_op *op, const struct err *err)
{
	void (*done)(void *arg, const struct err *err) = op->done;
	void *arg = op->arg;
	struct err copy;

	if (err)
		copy = *err;
	tenant_op_free(op);
	done(arg, err ? &copy : NULL);
}

void tenant_op_reply(struct tenant_op *op)
{
	struct tenant_message message;

	if (!op->mutation) {
		tell(op, NULL);
		return;
	}
	mutation_reply(op->mutation, convert_tenant(op->tenant, &message));
	tenant_op_free(op);
}

void tenant_op_fail(struct tenant_op *op, const struct err *err)
{
	if (!op->mutation) {
		tell(op, err);
		return;
	}
	mutation_fail(op->mutation, err);
	tenant_op_free(op);
}

void tenant_op_commit(struct tenant_op *op, struct db_tx *tx, db_done_fn done)
{
	struct tenant_message message;

	if (op->mutation)
		mutation_store(op->mutation, tx, convert_tenant(op->tenant, &message));
	db_commit(op->server->db, tx, done, op);
}
