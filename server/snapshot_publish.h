/* PublishSnapshot: an image of a snapshot. */
#pragma once

#include "server/grpc.h"

void snapshot_publish(struct grpc_call *call, const ProtobufCMessage *message);
