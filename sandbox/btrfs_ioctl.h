/*
 * btrfs by its own ioctls: subvolumes and quota groups. Descriptors are open directories (not
 * O_PATH) of the file system. Every function returns 0 or -errno. Source: linux/btrfs.h,
 * linux/btrfs_tree.h, and the kernel's fs/btrfs/ioctl.c and qgroup.c for what it accepts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BTRFS_IOCTL_FSID_SIZE	16
#define BTRFS_IOCTL_GROUP_LEVEL 48 /* a quota group's id: level << 48 | number */

/* The quota group of level `level` and number `id`; level 0 is a subvolume's own. */
static inline uint64_t btrfs_group(unsigned level, uint64_t id)
{
	return (uint64_t)level << BTRFS_IOCTL_GROUP_LEVEL | id;
}

/* True when fd is the top of a subvolume (its inode number is always 256). */
bool btrfs_is_subvolume(int fd);
/* The id of the subvolume that fd lies in. */
int btrfs_subvolume_id(int fd, uint64_t *ret);
/* Makes parent/name, in the quota group `group` from birth (0: none). */
int btrfs_subvolume_create(int parent_fd, const char *name, uint64_t group);
/*
 * Makes parent/name a snapshot of the subvolume source_fd, in the group as above; durable when it
 * returns. The source's own group stays the source's.
 */
int btrfs_subvolume_snapshot(
	int parent_fd, const char *name, int source_fd, uint64_t group, bool readonly);
/* Drops parent/name whatever it holds, except subvolumes (-ENOTEMPTY). Its space comes back later.
 */
int btrfs_subvolume_destroy(int parent_fd, const char *name);
int btrfs_subvolume_set_readonly(int fd);
bool btrfs_subvolume_is_readonly(int fd);

/* Turns quotas on: simple ones where the kernel has them, else full ones. Idempotent. */
int btrfs_quota_enable(int fd);
/*
 * True with simple quotas: a block counts to the subvolume that wrote it, as long as anybody has
 * it. With full ones it counts to each subvolume that has it, and once in a group of them.
 */
int btrfs_quota_is_simple(int fd, bool *ret);
/*
 * Full quotas of kernels before 6.9 lose count when a snapshot is put into a group: then counts
 * anew, and waits until that is done (it takes as long as the file system's metadata is large).
 */
int btrfs_quota_settle(int fd);
/* Idempotent: an existing group and an absent one, respectively, are success. */
int btrfs_group_create(int fd, uint64_t group);
int btrfs_group_remove(int fd, uint64_t group);
/* Limits what the group's subvolumes refer to; UINT64_MAX takes the limit off. */
int btrfs_group_limit(int fd, uint64_t group, uint64_t bytes);
/* Bytes the group's subvolumes refer to, as of the last commit. -ENOENT: no such group. */
int btrfs_group_usage(int fd, uint64_t group, uint64_t *ret_bytes);
/* What btrfs_group_limit() set; UINT64_MAX: no limit. -ENOENT: no such group. */
int btrfs_group_limit_of(int fd, uint64_t group, uint64_t *ret_bytes);
/*
 * Removes the groups 0/N and 1/N whose subvolume N is gone: kernels before 6.11 leave them behind,
 * with their limits, and hand out N again after a mount.
 */
int btrfs_group_sweep(int fd);

/* Commits everything, so that usage is exact; or has it committed soon, without waiting. */
int btrfs_sync(int fd);
int btrfs_sync_later(int fd);

int btrfs_fsid(int fd, uint8_t ret[static BTRFS_IOCTL_FSID_SIZE]);
