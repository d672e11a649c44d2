/* The method ImportImage. */
#pragma once

#include "server/grpc.h"

void import_start(struct grpc_call *call, const ProtobufCMessage *request);
void import_message(struct grpc_call *call, const ProtobufCMessage *request);
