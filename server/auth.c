/* Authorization; see auth.h. Must not tell a tenant whether another one exists. */
#include "server/auth.h"

#include "server/hold.h"
#include "server/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool auth_is_operator(const struct grpc_peer *peer)
{
	return peer->local && peer->admin;
}

void auth_actor(const struct grpc_peer *peer, struct actor *ret)
{
	*ret = (struct actor){.is_operator = auth_is_operator(peer)};
	if (peer->local)
		snprintf(ret->name, sizeof(ret->name), "uid:%u", (unsigned)peer->uid);
	else
		snprintf(ret->name, sizeof(ret->name), "remote");
}

static int find_caller(const struct server *server, const struct grpc_peer *peer,
	struct tenant **ret, struct err *err)
{
	struct tenant *t;

	if (!peer->local)
		return err_set(err, ERR_UNAUTHENTICATED, "NOT_AUTHENTICATED",
			"connections over the network cannot be authenticated by this croftd; use "
			"its unix socket");
	t = model_bound_tenant(&server->model, (uint32_t)peer->uid);
	if (!t)
		return err_set(err, ERR_PERMISSION_DENIED, "USER_NOT_BOUND",
			"user %u is bound to no tenant; an operator can do that with croft tenant "
			"bind",
			(unsigned)peer->uid);
	*ret = t;
	return 0;
}

/* True when the resource is the tenant's, or has no form that could name anybody's. */
static int check_owner(const struct tenant *t, const char *resource, struct err *err)
{
	char owner[NAME_SIZE];
	int r;

	if (!strcmp(resource, "tenants/-"))
		return err_set(err, ERR_PERMISSION_DENIED, "OPERATORS_ONLY",
			"only operators may name every tenant; name your own");
	r = name_parse_owner(resource, owner, err);
	if (r < 0)
		return r;
	if (strcmp(owner, t->name) != 0)
		return model_no_tenant(owner, err);
	return 0;
}

/* Every mutation has a request_id. */
static bool is_mutation(const struct grpc_method *method)
{
	return protobuf_c_message_descriptor_get_field_by_name(method->request, "request_id");
}

int auth_authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err)
{
	struct server *server = app;
	struct tenant *t = NULL;
	int r;

	if (method->role == GRPC_ROLE_ANYONE || auth_is_operator(peer))
		return 0;
	r = find_caller(server, peer, &t, err);
	if (r < 0)
		return r;
	if (method->role != GRPC_ROLE_TENANT)
		return err_set(
			err, ERR_PERMISSION_DENIED, "OPERATORS_ONLY", "only operators may do this");
	if (*method->resource && check_owner(t, resource, err) < 0)
		return -EPERM;
	/* Who is suspended may look: what it has stays as it is, also as evidence. */
	return is_mutation(method) ? hold_check(t, err) : 0;
}

int auth_check_io_limits(const struct grpc_peer *peer, const struct limits *before,
	const struct limits *after, struct err *err)
{
	if (auth_is_operator(peer))
		return 0;
	for (int i = 0; i < LIMIT_N; i++) {
		const char *name = limit_rule((enum limit_id)i)->name;

		if (limit_is_io((enum limit_id)i) &&
			after->value[i] != (before ? before->value[i] : LIMIT_UNSET))
			return err_set_subject(err, ERR_PERMISSION_DENIED, "OPERATORS_ONLY", name,
				"only operators may change %s: who waits for the disk may hold "
				"what others wait for",
				name);
	}
	return 0;
}

int auth_count_change(const struct grpc_peer *peer, struct container *container,
	const struct limits *after, struct err *err)
{
	return auth_is_operator(peer) ? 0 : ledger_count_change(container, after, err);
}

int auth_check_work(const struct grpc_peer *peer, const struct tenant *tenant, struct err *err)
{
	return auth_is_operator(peer) ? 0 : hold_check(tenant, err);
}

int auth_tenant_of(const struct server *server, const struct grpc_peer *peer, struct tenant **ret,
	struct err *err)
{
	if (auth_is_operator(peer)) {
		*ret = NULL;
		return 0;
	}
	return find_caller(server, peer, ret, err);
}

int auth_scope(const struct server *server, const struct grpc_peer *peer, const char *resource,
	struct tenant **ret, struct err *err)
{
	struct tenant *t;
	int r = auth_tenant_of(server, peer, &t, err);

	if (r < 0)
		return r;
	if (*resource)
		r = t ? check_owner(t, resource, err)
		      : model_find_tenant(&server->model, resource, &t, err);
	if (r < 0)
		return r;
	*ret = t;
	return 0;
}
