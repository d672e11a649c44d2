/*
 * Pools: make, limit, measure and drop directories. Nothing above knows which driver is below.
 *
 * Layout below the pool's root (0700, mounted nosuid,nodev; ids on disk start at 0):
 *   images/<image>/            an image's tree, read-only to everyone but the importer
 *   incoming/<image>/          an import that has not been committed
 *   empty/                     stays so: what containers without an image stand on
 *   tenants/<tenant>/<container>/upper and .../work   a container's overlay directories
 *   tenants/<tenant>/<volume>.volume/data            a volume (pool_volume.h)
 *
 * Every function here may wait for a disk: only workers call them. Drivers: `btrfs` (subvolume and
 * quota group; simple quotas where the kernel has them), `project` (directories of an XFS or ext4
 * with project quotas), `plain` (no disk limits).
 */
#pragma once

#include "base/err.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/name.h"
#include "sandbox/block_device.h"

#include <stdbool.h>
#include <stdint.h>

#define POOL_DRIVER_SIZE 16

struct pool_config {
	int state_fd;		       /* the state directory; the pool is `pool` in it, its
					* loop file `pool.img` */
	char driver[POOL_DRIVER_SIZE]; /* "btrfs", "project", "plain", or "" for the best here */
	uint64_t size_bytes;	       /* of a new loop file; 0: half of what the host has free */
};

struct pool;

/*
 * Makes the pool where there is none (mkfs on a sparse file), mounts it in the caller's mount
 * namespace where it is not mounted, and opens it. A loop device is looked up by its backing inode
 * before anything is attached: the same file on two loop devices is two live file systems over one
 * file. Safe to call again, and from several processes (a lock file serialises them).
 */
int pool_attach(const struct pool_config *config, struct pool **ret, struct err *err);
void pool_close(struct pool *pool);
/* Adds what a forked worker needs of it. */
void pool_list_fds(const struct pool *pool, struct fd_list *list);
/*
 * Unmounts the pool and lets its loop device go; the file stays. Idempotent. Waits up to 3 s for
 * what a process that has just died still holds; -EBUSY: somebody holds it.
 */
int pool_detach(const struct pool_config *config, struct err *err);

const char *pool_driver(const struct pool *pool);
/* True when a disk limit is enforced by this driver. */
bool pool_has_limits(const struct pool *pool);
/* True when a snapshot or copy takes as long as the tree is large; see pool_snapshot.h. */
bool pool_copies(const struct pool *pool);
/* Where its I/O can be limited and counted. */
struct block_device pool_disk(const struct pool *pool);

/*
 * Whoever writes to a container's directory must stand still while it is read for a snapshot, a
 * copy or an export, and for no longer: what is made of it is written to the disk after that.
 */
struct pool_reading {
	/* It is about to be read. An error ends it. */
	int (*begin)(void *arg, struct err *err);
	/* It has been read, or that failed. */
	void (*end)(void *arg);
	void *arg;
};

/* Has these called by what is asked for from now on; NULL: none. They stay the caller's. */
void pool_set_reading(struct pool *pool, const struct pool_reading *reading);
/* The whole pool's size and what is used of it. */
int pool_space(const struct pool *pool, uint64_t *ret_size, uint64_t *ret_used, struct err *err);

/*
 * A tenant's directory, and what holds it to its limits over everything in it: on btrfs its quota
 * group 1/N. On a driver without such limits they are UNIMPLEMENTED / DISK_LIMIT_UNSUPPORTED or
 * INODES_LIMIT_UNSUPPORTED. Idempotent: making it again only sets the limits.
 */
int pool_tenant_make(
	struct pool *pool, const char *tenant, const struct disk_limits *quota, struct err *err);
/* Refuses limits that are lower than before and than what a tenant has in use: LIMIT_BELOW_USE. */
int pool_tenant_check(
	struct pool *pool, const char *tenant, const struct disk_limits *quota, struct err *err);
/* Removes the directory and quota group. -EBUSY while a container's is left. Idempotent. */
int pool_tenant_remove(struct pool *pool, const char *tenant, struct err *err);

/* A container's upper and work directories under their own limit. Idempotent as above. */
int pool_upper_make(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, struct err *err);
/* Opens the directory that holds `upper` and `work`: O_PATH, the caller's. */
int pool_upper_open(
	struct pool *pool, const char *tenant, const char *container, int *ret_fd, struct err *err);
int pool_upper_remove(
	struct pool *pool, const char *tenant, const char *container, struct err *err);
/* Changes a limit: of a container, or of a tenant (container ""). -EBUSY (LIMIT_BELOW_USE) when
 * it is lower than before and more is in use already, unless force. */
int pool_set_limit(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, bool force, struct err *err);
/*
 * What a container, or a tenant (container ""), has in use, as of the file system's last commit: up
 * to 30 seconds old. 0 on a driver that cannot tell; `project` cannot for a container without a
 * limit of its own.
 */
int pool_usage(struct pool *pool, const char *tenant, const char *container,
	struct disk_limits *ret, struct err *err);

/* An empty incoming/<image>; what an interrupted import left there is removed first. */
int pool_image_begin(struct pool *pool, const char *image, int *ret_fd, struct err *err);
/* Publishes incoming/<image> as images/<image>, durably. ALREADY_EXISTS when there is one. */
int pool_image_commit(struct pool *pool, const char *image, struct err *err);
int pool_image_abort(struct pool *pool, const char *image, struct err *err);
int pool_image_open(struct pool *pool, const char *image, int *ret_fd, struct err *err);
/* The same of what a container stands on; "": a directory that stays empty. */
int pool_base_open(struct pool *pool, const char *base, int *ret_fd, struct err *err);
/* Removes an image, and what an import of that name may have left. */
int pool_image_remove(struct pool *pool, const char *image, struct err *err);
