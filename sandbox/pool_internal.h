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
	bool copies; /* clone() copies the tree */
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
	/*
	 * Makes to_parent/to_name a copy of from_fd, within the group of group_fd (-1: none), that
	 * appears as a whole and is then on the disk, or does not appear; -EEXIST when the name is
	 * taken. read_only: a snapshot that stays as it is.
	 */
	int (*clone)(int from_fd, int to_parent_fd, const char *to_name, int group_fd,
		bool read_only, struct err *err);
	/*
	 * How much of what counts to dir_fd, now or later, may be its snapshots' alone: what it
	 * uses where a block counts to whom wrote it, and 0 where it counts to whom has it.
	 */
	int (*held)(int dir_fd, uint64_t *ret_bytes, struct err *err);
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

struct pool {
	const struct pool_ops *ops;
	int root_fd;
	int images_fd;
	int incoming_fd;
	int tenants_fd;
};

/* Opens an existing directory that Croft made; `what` and its name go into the message. */
int pool_open_named(
	int parent_fd, const char *what, const char *name, int flags, int *ret_fd, struct err *err);
int pool_open_tenant(struct pool *pool, const char *tenant, int *ret_fd, struct err *err);
/* Refuses a limit that the driver does not have, before anything is made. */
int pool_refuse_limit(struct pool *pool, uint64_t bytes, struct err *err);
/*
 * LIMIT_BELOW_USE when more is in use than `held`, to which the driver is to hold it for a limit of
 * `bytes`.
 */
int pool_check_above_use(struct pool *pool, int fd, enum pool_scope scope, uint64_t held,
	uint64_t bytes, struct err *err);
/* The directories `upper` and `work` of a container's directory. Idempotent. */
int pool_make_layers(int dir_fd, struct err *err);

/* The names beside a container's directory; see pool_snapshot.h. */
#define POOL_SNAPSHOTS_SUFFIX ".snapshots"
#define POOL_NEW_SUFFIX	      ".new"
#define POOL_COMPANION_SIZE   (NAME_SIZE + sizeof(POOL_SNAPSHOTS_SUFFIX))
void pool_companion(
	const char *container, const char *suffix, char ret[static POOL_COMPANION_SIZE]);

/*
 * pool_snapshot.c: the names beside a container's directory, none of which can be a container's.
 * Drops all that belongs to a container but its own directory. Idempotent.
 */
int pool_drop_companions(struct pool *pool, int tenant_fd, const char *container, struct err *err);
/* What a container's own limit is to be for the driver: its snapshots do not count to it. */
uint64_t pool_own_limit(int tenant_fd, const char *container, uint64_t disk_bytes);

/* True when something is mounted on the state directory's POOL_DIR, in our mount namespace. */
int pool_is_mounted(int state_fd, bool *ret, struct err *err);
/* Attaches a detached mount there, and closes nothing. */
int pool_move_mount(int mount_fd, int state_fd, struct err *err);
