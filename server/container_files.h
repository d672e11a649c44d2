/* What is done to a container's files as a whole, by the API: CopyContainer, RenameContainer,
 * RebuildContainer. (Snapshots have a service of their own.) */
#pragma once

#include "server/container_op.h"
#include "server/grpc.h"

#include "croft/v1/containers.pb-c.h"

void container_copy(struct grpc_call *call, const ProtobufCMessage *message);
void container_rename(struct grpc_call *call, const ProtobufCMessage *message);
void container_rebuild(struct grpc_call *call, const ProtobufCMessage *message);

/* ABORTED / CONTAINER_BUSY while somebody changes it, or it is just starting or going. */
int container_check_free(const struct container *container, struct err *err);
/* FAILED_PRECONDITION or ABORTED while it runs, or is just starting. */
int container_check_stopped(const struct container *container, struct err *err);
/* How it is kept from writing meanwhile. */
enum pause container_pause(const struct container *container);
