/*
 * Who may do what: operators everything, a tenant's users what is theirs, nobody else anything but
 * what is open to all. Deny by default.
 */
#pragma once

#include "server/server.h"

/* The grpc_authorize_fn; app is a struct server. */
int auth_authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err);

/*
 * For methods without a resource: whose things the caller may see. Returns 0 with NULL for an
 * operator and else the caller's tenant.
 */
int auth_tenant_of(const struct server *server, const struct grpc_peer *peer, struct tenant **ret,
	struct err *err);

/*
 * As auth_tenant_of(), narrowed to an optional "tenants/{t}" of the request: for a tenant's user
 * another one is NOT_FOUND.
 */
int auth_scope(const struct server *server, const struct grpc_peer *peer, const char *resource,
	struct tenant **ret, struct err *err);
