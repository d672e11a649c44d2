/* A new container from a request: the checks and the filling-in that create and launch share. */
#pragma once

#include "server/container_op.h"

#include "croft/v1/containers.pb-c.h"

/*
 * Checks the request against its tenant, the image and every limit, and adds the container to the
 * model, not visible yet. Returns 0 with *ret in the model, or -errno with nothing changed.
 * RESOURCE_EXHAUSTED / TOO_MANY_CONTAINERS (subject "containers") when the tenant has its fill.
 */
int container_new(struct server *server, const Croft__V1__CreateContainerRequest *request,
	struct container **ret, struct err *err);

/*
 * The same of one that stands on no image, which the request must not name: how it starts is `own`
 * (copied), or becomes known later (NULL).
 */
int container_new_own(struct server *server, const Croft__V1__CreateContainerRequest *request,
	const struct image *own, struct container **ret, struct err *err);

/* ALREADY_EXISTS when the tenant has a container of the name, or one is just taking it. */
int container_check_name_free(const struct tenant *tenant, const char *name, struct err *err);

/* Whether limits are within those of the tenant as its containers meet them. */
int container_check_limits(
	const struct tenant *tenant, const struct limits *limits, struct err *err);

/* FAILED_PRECONDITION / NESTING_NOT_ALLOWED where no operator gave the tenant leave. */
int container_check_nesting(const struct tenant *tenant, bool nesting, struct err *err);

/* Chooses a container's cores anew when they are not (or no longer) among its tenant's. */
int container_place(struct server *server, struct container *container, struct err *err);
