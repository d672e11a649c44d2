/* The frame of every change of a container; see container_op.h. */
#include "server/container_op.h"

#include "google/protobuf/empty.pb-c.h"
#include "server/cloud_init.h"
#include "server/convert.h"
#include "server/lifecycle.h"

#include <stdlib.h>

struct container_op *container_op_begin(struct mutation *mutation, struct container *container)
{
	struct container_op *op = calloc(1, sizeof(*op));
	struct err err;

	if (!op) {
		err_oom(&err);
		mutation_fail(mutation, &err);
		return NULL;
	}
	op->mutation = mutation;
	op->server = mutation->server;
	op->container = container_ref(container);
	return op;
}

int container_op_hold(struct container_op *op, struct err *err)
{
	struct container *c = op->container;

	if (c->changing || c->state == CONTAINER_STARTING || c->state == CONTAINER_DELETING)
		return err_set(err, ERR_ABORTED, "CONTAINER_BUSY", "%s/%s is %s; try again",
			c->tenant->name, c->name,
			c->changing ? "being changed" : container_state_name(c->state));
	c->changing = true;
	op->holds_change = true;
	return 0;
}

static void op_free(struct container_op *op)
{
	if (op->holds_change)
		op->container->changing = false;
	cloud_init_unref(op->cloud_init);
	container_unref(op->container);
	free(op);
}

void container_op_reply(struct container_op *op)
{
	struct container_message message;

	mutation_reply(op->mutation, convert_container(op->container, &message));
	op_free(op);
}

void container_op_reply_empty(struct container_op *op)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	mutation_reply(op->mutation, &empty.base);
	op_free(op);
}

void container_op_fail(struct container_op *op, const struct err *err)
{
	mutation_fail(op->mutation, err);
	op_free(op);
}

static void on_taken_back(void *arg, const struct err *err)
{
	struct container_op *op = arg;
	struct err why = op->err;

	(void)err;
	container_op_fail(op, &why);
}

void container_op_take_back(struct container_op *op, const struct err *err)
{
	op->err = *err;
	delete_unmade(op->server, op->container, on_taken_back, op);
}

void container_op_store(struct container_op *op, struct db_tx *tx)
{
	struct container_message message;

	mutation_store(op->mutation, tx, convert_container(op->container, &message));
}

struct container_op *container_op_find(struct grpc_call *call, const ProtobufCMessage *request,
	const char *request_id, const char *name)
{
	struct mutation *m = mutation_begin(call, request, request_id);
	struct container *c;
	struct err err;

	if (!m)
		return NULL;
	if (model_find_container(&m->server->model, name, &c, &err) < 0) {
		mutation_fail(m, &err);
		return NULL;
	}
	return container_op_begin(m, c);
}
