/* A new container from a request: the checks and the filling-in that create and launch share. */
#pragma once

#include "server/container_op.h"

#include "croft/v1/containers.pb-c.h"

/*
 * Checks the request against its tenant, the image and every limit, and adds the container to the
 * model, not visible yet. Returns 0 with *ret in the model, or -errno with nothing changed.
 * RESOURCE_EXHAUSTED / TOO_MANY_CONTAINERS (subject "containers") when the tenant has its fill.
 * PERMISSION_DENIED for limits of I/O when the peer is no operator; NULL: they are not the peer's
 * wish, but those of what is copied.
 */
int container_new(struct server *server, const struct grpc_peer *peer,
	const Croft__V1__CreateContainerRequest *request, struct container **ret, struct err *err);

/*
 * The same of one that stands on no image, which the request must not name: how it starts is `own`
 * (copied), or becomes known later (NULL).
 */
int container_new_own(struct server *server, const struct grpc_peer *peer,
	const Croft__V1__CreateContainerRequest *request, const struct image *own,
	struct container **ret, struct err *err);

/* ALREADY_EXISTS when the tenant has a container of the name, or one is just taking it. */
int container_check_name_free(const struct tenant *tenant, const char *name, struct err *err);

/* Whether limits are within those of the tenant as its containers meet them. */
int container_check_limits(
	const struct tenant *tenant, const struct limits *limits, struct err *err);

/* Takes what is above them down to them: of what was allowed once. */
void container_fit_limits(const struct tenant *tenant, struct limits *limits);

/* FAILED_PRECONDITION / NESTING_NOT_ALLOWED where no operator gave the tenant leave. */
int container_check_nesting(const struct tenant *tenant, bool nesting, struct err *err);
