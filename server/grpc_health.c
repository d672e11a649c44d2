/*
 * grpc.health.v1.Health (grpc/doc/health-checking.md): one state for the whole server, under "" and
 * under each service's name. Says nothing about tenants or containers.
 */
#include "server/grpc_internal.h"

#include <grpc/health/v1/health.pb-c.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A call of Watch, until it ends. */
struct grpc_watch {
	bool known;		/* the service */
	struct grpc_call *call; /* not a reference: `cancelled` comes before it is freed */
	LIST_ENTRY(grpc_watch) link;
};

static bool is_service(const char *name)
{
	size_t len = strlen(name);

	if (!len)
		return true;
	for (size_t i = 0; i < grpc_n_methods; i++) {
		const char *path = grpc_methods[i].path + 1;

		if (strncmp(path, name, len) == 0 && path[len] == '/')
			return true;
	}
	return false;
}

static Grpc__Health__V1__HealthCheckResponse state(const struct grpc_server *server)
{
	Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	reply.status =
		server->healthy
			? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
			: GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
	return reply;
}

static void check(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Grpc__Health__V1__HealthCheckRequest *request = (const void *)message;
	Grpc__Health__V1__HealthCheckResponse reply = state(grpc_call_server(call));
	struct err err;

	if (is_service(request->service)) {
		grpc_reply(call, &reply.base);
		return;
	}
	err_set_subject(&err, ERR_NOT_FOUND, "UNKNOWN_SERVICE", "service",
		"there is no service %s here", request->service);
	grpc_fail(call, &err);
}

static void watch(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Grpc__Health__V1__HealthCheckRequest *request = (const void *)message;
	struct grpc_server *server = grpc_call_server(call);
	Grpc__Health__V1__HealthCheckResponse reply = state(server);
	struct grpc_watch *w = calloc(1, sizeof(*w));
	struct err err;

	if (!w) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	w->call = call;
	w->known = is_service(request->service);
	if (!w->known) /* the protocol wants the call to stay open all the same */
		reply.status =
			GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
	LIST_INSERT_HEAD(&server->watches, w, link);
	grpc_call_set_data(call, w);
	grpc_send(call, &reply.base);
}

static void watch_cancelled(struct grpc_call *call)
{
	struct grpc_watch *w = grpc_call_data(call);

	LIST_REMOVE(w, link);
	free(w);
}

void grpc_health_changed(struct grpc_server *server)
{
	Grpc__Health__V1__HealthCheckResponse reply = state(server);
	struct grpc_watch *w, *next;

	for (w = LIST_FIRST(&server->watches); w; w = next) {
		next = LIST_NEXT(w, link); /* sending may end the call, and free w */
		if (w->known)
			grpc_send(w->call, &reply.base);
	}
}

void grpc_health_drain(struct grpc_server *server)
{
	struct grpc_watch *w;
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down");
	while ((w = LIST_FIRST(&server->watches))) {
		struct grpc_call *call = w->call;

		LIST_REMOVE(w, link);
		free(w);
		grpc_fail(call, &err);
	}
}

const struct grpc_handler grpc_health_handlers[] = {
	{.path = "/grpc.health.v1.Health/Check", .start = check},
	{.path = "/grpc.health.v1.Health/Watch", .start = watch, .cancelled = watch_cancelled},
	{0},
};
