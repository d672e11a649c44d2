/*
 * Who may do what: operators everything, a tenant's users what is theirs, nobody else anything but
 * what is open to all. Deny by default.
 */
#pragma once

#include "server/server.h"

bool auth_is_operator(const struct grpc_peer *peer);
/* The caller, as records name it. */
void auth_actor(const struct grpc_peer *peer, struct actor *ret);

/* The grpc_authorize_fn; app is a struct server. */
int auth_authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err);

/*
 * Limits of I/O are the operators' to change, of containers too: who is held by one can hold up
 * others, and so must not be able to hold itself (ADR 71). Returns 0 or PERMISSION_DENIED /
 * OPERATORS_ONLY with the limit as subject. before NULL: there was none.
 */
int auth_check_io_limits(const struct grpc_peer *peer, const struct limits *before,
	const struct limits *after, struct err *err);

/* As ledger_count_change(), of others than operators. */
int auth_count_change(const struct grpc_peer *peer, struct container *container,
	const struct limits *after, struct err *err);

/*
 * What moves or copies files works in the tenant's cgroup, and would stand still there while that
 * is frozen. So it is done outside, at the host's expense: for operators alone. Returns 0 or
 * FAILED_PRECONDITION / TENANT_SUSPENDED.
 */
int auth_check_work(const struct grpc_peer *peer, const struct tenant *tenant, struct err *err);

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
