/* SuspendTenant and ResumeTenant: setting and lifting holds. */
#pragma once

#include "server/grpc.h"
#include "server/server.h"

void tenant_suspend(struct grpc_call *call, const ProtobufCMessage *message);
void tenant_resume(struct grpc_call *call, const ProtobufCMessage *message);

/*
 * The same for croftd's own reasons. done is called once, later or from here; ABORTED / TENANT_BUSY
 * while the tenant is being changed. Lifting what is not there changes nothing.
 */
void tenant_hold_set(struct server *server, struct tenant *tenant, enum hold_type type,
	const struct hold *hold, void (*done)(void *arg, const struct err *err), void *arg);
void tenant_hold_lift(struct server *server, struct tenant *tenant, enum hold_type type,
	void (*done)(void *arg, const struct err *err), void *arg);
