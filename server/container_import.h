/* ImportContainer: a container from a client's file. */
#pragma once

#include "sandbox/supervisor_client.h"
#include "server/grpc.h"
#include "server/server.h"

void container_import_start(struct grpc_call *call, const ProtobufCMessage *request);
void container_import_message(struct grpc_call *call, const ProtobufCMessage *request);

/* The importer's report on its way. */
void container_import_progress(struct server *server, const struct msg_import_progress *msg);
