/* The frame of every change of a tenant; see tenant_op.h. */
#include "server/tenant_op.h"

#include "server/convert.h"

#include <stdlib.h>

struct tenant_op *tenant_op_begin(struct mutation *mutation, struct tenant *tenant)
{
	struct tenant_op *op = NULL;
	struct err err;

	if (tenant->changing || tenant->deleting)
		err_set(&err, ERR_ABORTED, "TENANT_BUSY", "tenant %s is being %s; try again",
			tenant->name, tenant->deleting ? "deleted" : "changed");
	else if (!(op = calloc(1, sizeof(*op))))
		err_oom(&err);
	if (!op) {
		mutation_fail(mutation, &err);
		return NULL;
	}
	op->mutation = mutation;
	op->server = mutation->server;
	op->tenant = tenant_ref(tenant);
	tenant->changing = true;
	return op;
}

void tenant_op_free(struct tenant_op *op)
{
	op->tenant->changing = false;
	tenant_unref(op->tenant);
	free(op);
}

void tenant_op_reply(struct tenant_op *op)
{
	struct tenant_message message;

	mutation_reply(op->mutation, convert_tenant(op->tenant, &message));
	tenant_op_free(op);
}

void tenant_op_fail(struct tenant_op *op, const struct err *err)
{
	mutation_fail(op->mutation, err);
	tenant_op_free(op);
}

void tenant_op_commit(struct tenant_op *op, struct db_tx *tx, db_done_fn done)
{
	struct tenant_message message;

	mutation_store(op->mutation, tx, convert_tenant(op->tenant, &message));
	db_commit(op->server->db, tx, done, op);
}
