/*
 * How much croftd does for a tenant's output: what it keeps, and how fast it reads (ADR 63). Both
 * hold for the tenant as a whole, whatever the number of its containers.
 */
#pragma once

#include "server/server.h"

/* Bytes a second that are read of all outputs and consoles of a tenant. */
#define LOG_TENANT_RATE (4u << 20)

/*
 * The most that may be kept of a container's output: its own limit, and no more than an equal share
 * of its tenant's.
 */
uint64_t log_quota_bytes(const struct server *server, const struct container *container);

/* So much is kept of a container now. What is above the limits goes. */
void log_quota_kept(struct server *server, struct container *container, uint64_t bytes);

/* The limits of a tenant or of its containers may have changed: what is above them goes. */
void log_quota_enforce(struct server *server, struct tenant *tenant);

/*
 * So much was read of one output. Returns for how many milliseconds it is to be left alone, so that
 * the tenant's outputs take turns within its rate.
 */
unsigned log_quota_pay(struct tenant *tenant, size_t bytes);
