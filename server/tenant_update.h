/* UpdateTenant, and the checks of a tenant's texts. */
#pragma once

#include "server/grpc.h"

void tenant_update(struct grpc_call *call, const ProtobufCMessage *message);

/* A text of a request: at most max bytes of UTF-8 without control characters. */
int tenant_check_reset_day(uint32_t day, struct err *err);
int tenant_check_text(const char *field, const char *text, size_t max, struct err *err);
