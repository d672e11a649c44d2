/*
 * Project quotas of XFS and ext4 by the kernel's own calls. A project is a number that an inode
 * carries and that what is made in a directory inherits; the kernel counts and limits what each
 * number has. There is no hierarchy. Descriptors are open directories (not O_PATH). Functions
 * return 0 or -errno. Source: quotactl(2), linux/quota.h, linux/dqblk_xfs.h, linux/fs.h, and the
 * kernel's fs/quota/quota.c for what both file systems answer alike.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* UINT64_MAX in a limit: none. */
struct project_quota {
	uint64_t limit_bytes;
	uint64_t limit_inodes;
	uint64_t used_bytes;
	uint64_t used_inodes;
};

/* True on an XFS or ext4 that enforces project quotas: mounted so, and we may ask. */
bool project_quota_enforced(int fd);

/* The directory's project; 0 is nobody's, and never limited. */
int project_of(int dir_fd, uint32_t *ret_id);
/* inherit: what is made in it from now on is of the same project. */
int project_set(int dir_fd, uint32_t id, bool inherit);

/* All zero and unlimited for one that nobody has had. fd: anything on the file system. */
int project_quota_get(int fd, uint32_t id, struct project_quota *ret);
/* A limit below what the kernel can say counts as the least that it can. */
int project_quota_limit(int fd, uint32_t id, uint64_t bytes, uint64_t inodes);
/* Hurries what counts removed files off in the background. */
int project_quota_settle(int fd);
