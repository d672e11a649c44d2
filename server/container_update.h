/* UpdateContainer: limits that change live. */
#pragma once

#include "server/grpc.h"

void container_update(struct grpc_call *call, const ProtobufCMessage *message);
