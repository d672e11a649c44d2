/*
 * Events: what happened, durable and numbered without gaps. An event is part of the transaction
 * that makes its subject durable, so that neither is ever seen without the other.
 */
#pragma once

#include "server/db.h"
#include "server/model.h"

/* details is a JSON object ("{}" for none), by details.h. What each type has: events.proto. */
void events_add_tenant(struct db_tx *tx, const struct tenant *tenant, const char *type,
	const char *details, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* One of which the tenant itself is told less: `own`, and operators `details`. */
void events_add_tenant_own(struct db_tx *tx, const struct tenant *tenant, const char *type,
	const char *details, const char *own, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
void events_add_container(struct db_tx *tx, const struct container *container, const char *run_id,
	const char *type, const char *details, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* The same of a container. */
void events_add_container_own(struct db_tx *tx, const struct container *container, const char *type,
	const char *details, const char *own, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/*
 * A container's row and container.created go into one transaction, and so do the row's end and
 * container.deleted: whoever reads events sees every container come and go.
 */
void events_add_created(struct db_tx *tx, const struct container *container);
void events_add_deleted(struct db_tx *tx, const struct container *container);
void events_add_started(struct db_tx *tx, const struct container *container);
/* Why a start, or the making of a container, came to nothing. */
void events_add_start_failed(struct db_tx *tx, const struct container *container,
	const char *run_id, const struct err *why);
void events_add_create_failed(
	struct db_tx *tx, const struct container *container, const struct err *why);
void events_add_image(struct db_tx *tx, const struct image *image, const char *type,
	const char *details, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void events_add_host(struct db_tx *tx, const char *type, const char *details, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
