/* RenameContainer and RebuildContainer, and what all who work on files check; see the header. */
#include "server/container_files.h"

#include "server/container_new.h"
#include "server/container_pending.h"
#include "server/hold.h"

int container_check_free(const struct container *c, struct err *err)
{
	if (c->tenant->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_DELETING",
			"tenant %s is being deleted", c->tenant->name);
	if (!c->changing && !c->condemned && c->state != CONTAINER_STARTING &&
		c->state != CONTAINER_DELETING)
		return 0;
	return err_set(err, ERR_ABORTED, "CONTAINER_BUSY", "%s/%s is %s; try again",
		c->tenant->name, c->name,
		c->changing ? "being changed"
			    : container_state_name(c->condemned ? CONTAINER_DELETING : c->state));
}

enum pause container_pause(const struct container *c)
{
	if (!container_state_is_live(c->state))
		return PAUSE_STOPPED;
	return c->state == CONTAINER_FROZEN ? PAUSE_FROZEN : PAUSE_FREEZE;
}

int container_check_stopped(const struct container *c, struct err *err)
{
	if (!container_state_is_live(c->state))
		return 0;
	if (c->state == CONTAINER_STARTING)
		return container_check_free(c, err);
	return container_state_check(c->tenant->name, c->name, c->state, CONTAINER_STARTING, err);
}

void container_rename(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__RenameContainerRequest *request = (const void *)message;
	struct container_op *op = container_op_find(
		call, message, request->request_id, request->name);
	struct err err;
	int r;

	if (!op)
		return;
	r = name_check("container", request->container_id, &err);
	if (r == 0)
		r = container_check_name_free(op->container->tenant, request->container_id, &err);
	if (r == 0)
		r = container_check_stopped(op->container, &err);
	if (r == 0)
		r = container_op_hold(op, &err);
	if (r < 0)
		container_op_fail(op, &err);
	else
		container_pending_rename(op, request->container_id);
}

void container_rebuild(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__RebuildContainerRequest *request = (const void *)message;
	struct container_op *op = container_op_find(
		call, message, request->request_id, request->name);
	struct image *image;
	struct err err;
	int r;

	if (!op)
		return;
	r = model_find_image(&op->server->model, request->image, &image, &err);
	if (r == 0 && image->deleting)
		r = err_set(&err, ERR_FAILED_PRECONDITION, "IMAGE_DELETING",
			"image %s is being deleted", image->name);
	if (r == 0)
		r = container_check_stopped(op->container, &err);
	if (r == 0)
		r = hold_check_evidence(op->container->tenant, request->force, &err);
	if (r == 0)
		r = container_op_hold(op, &err);
	if (r < 0)
		container_op_fail(op, &err);
	else
		container_pending_rebuild(op, image->name);
}
