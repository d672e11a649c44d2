/* The method ImportImage. */
#pragma once

#include "server/grpc.h"

void import_start(struct grpc_call *call, const ProtobufCMessage *request);
void import_message(struct grpc_call *call, const ProtobufCMessage *request);
void import_half_closed(struct grpc_call *call);
void import_cancelled(struct grpc_call *call);
