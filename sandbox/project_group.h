/*
 * A tenant on a pool of projects. The kernel knows no sum over projects, so what the tenant bought
 * is dealt out, and never more than that: a directory with limits of its own has a project of its
 * own, whose limits are set aside; all others share one project, which is limited to what is left.
 * So the kernel holds the tenant to what it bought, whoever writes how fast.
 *
 * What was bought and the shared project's number are noted on the tenant's directory. What is set
 * aside is what the kernel says of the projects that directories in it have: there is nothing
 * else that could differ from it after a crash.
 *
 * Neither file system charges inodes as space: who had no limit of them could use up all that the
 * host has. So a limit of disk alone is one of inodes too, in the proportion of ext4's.
 */
#pragma once

#include "base/err.h"
#include "sandbox/pool.h"
#include "sandbox/project_quota.h"

#include <stddef.h>

struct project_group {
	int fd;	     /* the tenant's directory, locked while this is open */
	int root_fd; /* the pool's; the caller's */
	uint32_t id; /* the shared project */
	struct disk_limits bought;
	struct project_quota shared;
	struct disk_limits aside; /* the sum of what is set aside */
	struct disk_limits used;  /* by all */
	uint32_t *own;		  /* the projects that are somebody's own */
	size_t n_own;
	size_t room;
};

#define PROJECT_GROUP_INIT                                                                         \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Notes a new shared project on a tenant's directory, unless there is one. */
int project_group_make(int root_fd, int dir_fd, struct err *err);
/* The shared project of a tenant's directory; 0: none. */
uint32_t project_group_id(int dir_fd);

/* Locks a tenant and looks at what it has. Waits for who has it locked: nobody does for long. */
int project_group_open(int root_fd, int dir_fd, struct project_group *ret, struct err *err);
void project_group_close(struct project_group *group);

/* With the limit of inodes that goes with one of disk. */
struct disk_limits project_complete(const struct disk_limits *quota);
/* True when quota asks for a project of its own. */
bool project_is_own(const struct disk_limits *quota);
bool project_group_has(const struct project_group *group, uint32_t id);

/* Changes what was bought. Below what is set aside: DISK_SET_ASIDE. */
int project_group_buy(
	struct project_group *group, const struct disk_limits *asked, struct err *err);
/*
 * Sets the limits of an own project, new or not, aside. More than is left: DISK_NO_ROOM; without
 * one of disk where the tenant has it: DISK_LIMIT_INCOMPLETE.
 */
int project_group_set(
	struct project_group *group, uint32_t id, const struct disk_limits *asked, struct err *err);
/* Limits the shared project to what is left now. */
int project_group_settle(struct project_group *group, struct err *err);

/* A number that nobody has or had: one after the other, noted before it is used. */
int project_take_id(int root_fd, uint32_t *ret_id, struct err *err);
