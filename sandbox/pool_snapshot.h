/*
 * Snapshots of containers' directories, and what else is made of a whole directory at once: copies,
 * a fresh start, another name. See pool.h; only workers call these.
 *
 * Beside a container's directory in its tenant's, under names that no container can have:
 *   <container>.snapshots/<snapshot>   read-only where the file system can; they count to the
 *                                      tenant's limit, and not to the container's own
 *   <container>.new                    what is to take the container's place, or has lost it
 *
 * Each function is made so that after a crash on any line it can be called again with the same
 * arguments, or what it made can be removed: a container's directory is exchanged in one step.
 */
#pragma once

#include "sandbox/pool.h"
#include "sandbox/tree_copy.h"

/*
 * Keeps the container's directory as it is when it is read. The container must not run, or be
 * frozen then.
 * quota is its own limit, as in pool_upper_make(). *ret_bytes is what it holds on a driver
 * that can tell. ALREADY_EXISTS / SNAPSHOT_EXISTS.
 */
int pool_snapshot_make(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const struct disk_limits *quota, uint64_t *ret_bytes,
	struct err *err);
/* Idempotent. */
int pool_snapshot_remove(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const struct disk_limits *quota, struct err *err);
/* The container's directory becomes a copy of the snapshot's. It must not run. */
int pool_snapshot_restore(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const struct disk_limits *quota, struct err *err);
/* Calls fn for every snapshot, in no order; a value other than 0 ends it and is returned. */
int pool_snapshot_list(struct pool *pool, const char *tenant, const char *container,
	int (*fn)(const char *snapshot, void *arg), void *arg, struct err *err);

/* The container's directory becomes a new, empty one. It must not run. */
int pool_upper_reset(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, struct err *err);
/*
 * Makes the container `to` from `from` as it is now (frozen or not running), or from a snapshot of
 * it (not ""). ALREADY_EXISTS / CONTAINER_EXISTS.
 */
int pool_upper_copy(struct pool *pool, const char *tenant, const char *from, const char *snapshot,
	const char *to, const struct disk_limits *quota, struct err *err);
/* Renames the container's directory and its snapshots'. Done before: success. It must not run. */
int pool_upper_rename(
	struct pool *pool, const char *tenant, const char *from, const char *to, struct err *err);

/*
 * Copies the container's directory as it is now (frozen or not running) to <container>.new, which
 * pool_export_merge() lays over the image `base` (or nothing): incoming/<tenant>.export, which is
 * no image's name. Its files' data may be shared with the container's. *ret_fd (not O_PATH) is the
 * caller's.
 */
int pool_export_copy(struct pool *pool, const char *tenant, const char *container, struct err *err);
int pool_export_merge(struct pool *pool, const char *tenant, const char *container,
	const char *base, int *ret_fd, struct err *err);
/* The same of a snapshot (base: its own image), which must stay while it is copied. */
int pool_export_merge_snapshot(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const char *base, int *ret_fd, struct err *err);
/* Removes what was merged, and with a container (not NULL) what was copied. Idempotent. */
int pool_export_drop(struct pool *pool, const char *tenant, const char *container, struct err *err);
/* Removes what exports have left that were cut off. Nothing else uses the pool yet. */
int pool_export_drop_all(struct pool *pool, struct err *err);

/*
 * <container>.new, empty, under the limits that it will have as the container's directory, whose
 * place it takes by pool_import_commit(). *ret_fd, the caller's, is its `upper`. ALREADY_EXISTS /
 * CONTAINER_EXISTS.
 */
int pool_import_begin(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, int *ret_fd, struct err *err);
int pool_import_commit(
	struct pool *pool, const char *tenant, const char *container, struct err *err);
/*
 * A snapshot of it that is to be, empty, under its tenant's limits alone; *ret_fd as above. Sealed
 * when it is full, and before the container is committed.
 */
int pool_import_snapshot(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, int *ret_fd, struct err *err);
int pool_import_seal(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, struct err *err);
/* Takes all of it back, but what has been committed. Idempotent. */
int pool_import_drop(struct pool *pool, const char *tenant, const char *container, struct err *err);

/*
 * Makes incoming/<image> of the image `base` (or of nothing) with a snapshot laid over it, to be
 *published by pool_image_commit(). Nothing of it is shared with the tenant's files, to whom it
 *would count. ret is what it holds.
 */
int pool_image_merge(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const char *base, const char *image, struct tree_report *ret,
	struct err *err);
