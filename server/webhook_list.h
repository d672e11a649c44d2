/* Webhooks.GetWebhook and ListWebhooks: how each stands, with what waits for it. */
#pragma once

#include "server/grpc.h"

void webhook_get(struct grpc_call *call, const ProtobufCMessage *message);
void webhook_list(struct grpc_call *call, const ProtobufCMessage *message);
