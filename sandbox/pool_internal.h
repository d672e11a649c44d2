/*
 * What a pool driver provides to pool.c: making, limiting, measuring and dropping a directory.
 * Layout, names and locking are pool.c's; drivers never see a name they have to check.
 */
#pragma once

#include "sandbox/pool.h"

#define POOL_DIR  "pool"
#define POOL_FILE "pool.img"

/* What a limit or a measurement is about. */
enum pool_scope {
	POOL_SCOPE_DIR,	  /* this directory */
	POOL_SCOPE_GROUP, /* a tenant's: every directory made with this one as the group */
};

/* Descriptors are open directories (not O_PATH). Each function returns 0 or -errno with err. */
struct pool_ops {
	const char *name;
	bool has_limits;
	/* True when this host can do it: probed, nothing made. */
	bool (*works)(void);
	/* Makes what is missing and mounts it on the state directory's POOL_DIR. Under the lock. */
	int (*mount)(const struct pool_config *config, struct err *err);
	/* Checks and prepares a pool just mounted or found mounted. Under the lock. */
	int (*prepare)(const struct pool_config *config, int root_fd, struct err *err);
	/* Lets go of what mount() took, once it is unmounted. Under the lock. */
	int (*release)(const struct pool_config *config, struct err *err);

	/* Makes parent/name, within the group of the directory group_fd (-1: none). Idempotent. */
	int (*make)(int parent_fd, const char *name, int group_fd, struct err *err);
	/* Makes dir_fd a group. Idempotent. */
	int (*make_group)(int dir_fd, struct err *err);
	/* Removes parent/name with all it holds; `group`: it was made a group. Idempotent. */
	int (*drop)(int parent_fd, const char *name, bool group, struct err *err);
	/* Nobody writes to it from now on. */
	int (*seal)(int dir_fd, struct err *err);
	/*
	 * UINT64_MAX: no limit. root_fd is the pool's root, which is never full: a limit must be
	 * changeable when the directory is.
	 */
	int (*set_limit)(
		int root_fd, int dir_fd, enum pool_scope scope, uint64_t bytes, struct err *err);
	/* exact: wait until what was written before is counted. */
	int (*usage)(int dir_fd, enum pool_scope scope, bool exact, uint64_t *ret_bytes,
		struct err *err);
};

extern const struct pool_ops pool_btrfs_ops;
extern const struct pool_ops pool_plain_ops;

/* True when something is mounted on the state directory's POOL_DIR, in our mount namespace. */
int pool_is_mounted(int state_fd, bool *ret, struct err *err);
/* Attaches a detached mount there, and closes nothing. */
int pool_move_mount(int mount_fd, int state_fd, struct err *err);
