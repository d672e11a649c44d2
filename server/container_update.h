/* UpdateContainer: limits that change live. */
#pragma once

#include "sandbox/supervisor_client.h"
#include "server/container_op.h"

/* Checks, and leaves what is to be done to container_pending_update(), with these three. */
void container_update(struct grpc_call *call, const ProtobufCMessage *message);

/* What makes the container's limits those of op; or, without op, what its row says. */
void container_update_fill(
	struct container *container, struct container_op *op, struct msg_limits *ret);
/* Makes the container what op wants it to be, and op what it was: forth, and back on failure. */
void container_update_swap(struct container_op *op);
/*
 * After the first swap: its event, but for an update to what it is already, and what is not part of
 * the container's own row.
 */
void container_update_store(struct db_tx *tx, const struct container_op *op);
