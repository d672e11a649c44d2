/*
 * What the supervisor and the record must agree on: new limits, and what is done to a stopped
 * container's files as a whole (going back to a snapshot, beginning anew from an image, taking
 * another name). Noted in the container's row before it is begun (`pending`), and the row becomes
 * what it should be only after the supervisor's part. Until then the container is held.
 *
 * After a crash the supervisor's part is done again, for files; limits are those of the row again:
 * whoever asked for others was not told that they hold.
 */
#pragma once

#include "server/container_op.h"
#include "server/snapshot.h"

/* Each takes over op, which holds its container, and answers. */
void container_pending_restore(struct container_op *op, struct snapshot *snapshot);
void container_pending_rename(struct container_op *op, const char *name);
void container_pending_rebuild(struct container_op *op, const char *image);
/* What op holds, see container_update.h. */
void container_pending_update(struct container_op *op);

/* Goes on with what a crash has interrupted. After each reconciliation. */
void container_pending_resume_all(struct server *server);
/* A pending of a row that was loaded is one that this program knows. */
bool container_pending_is_valid(const char *pending);
/* True when a container of the tenant is about to have that name. */
bool container_pending_takes_name(const struct tenant *tenant, const char *name);
/* True when something pending will need the image. */
bool container_pending_uses_image(const struct container *container, const char *image);
