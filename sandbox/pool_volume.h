/*
 * Volumes: directories of a tenant's own that outlive its containers. See pool.h; only workers
 * call these. In the tenant's directory, under a name that no container can have:
 *   <volume>.volume/data   what is mounted; it counts to the tenant's disk limit, and to its own
 */
#pragma once

#include "sandbox/pool.h"

/*
 * An empty volume under its own limit (LIMIT_UNSET: none), on the disk when this returns.
 * ALREADY_EXISTS / VOLUME_EXISTS.
 */
int pool_volume_make(
	struct pool *pool, const char *tenant, const char *volume, uint64_t bytes, struct err *err);
/* Opens the directory to be mounted: O_PATH, the caller's. NOT_FOUND. */
int pool_volume_open(
	struct pool *pool, const char *tenant, const char *volume, int *ret_fd, struct err *err);
/* Idempotent. */
int pool_volume_remove(struct pool *pool, const char *tenant, const char *volume, struct err *err);
/* Whether a name in a tenant's directory is a volume's, and which one's. */
bool pool_volume_of_dir(const char *dir, char ret[static NAME_SIZE]);
/* As pool_set_limit(). */
int pool_volume_set_limit(struct pool *pool, const char *tenant, const char *volume, uint64_t bytes,
	bool force, struct err *err);
/* As pool_usage(). */
int pool_volume_usage(struct pool *pool, const char *tenant, const char *volume,
	struct disk_limits *ret, struct err *err);
