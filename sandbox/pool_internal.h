/*
 * What a pool driver provides to pool.c: making, limiting, measuring and dropping a directory.
 * Layout, names and locking are pool.c's; drivers never see a name they have to check.
 */
#pragma once

#include "sandbox/pool.h"

#define POOL_DIR	 "pool"
#define POOL_FILE	 "pool.img"
#define POOL_TENANTS_DIR "tenants" /* in the pool */
#define POOL_EMPTY_DIR	 "empty"   /* likewise */
/* In the state directory: the pool is of the driver `project`, and this its number. */
#define POOL_PROJECT_MARK "pool.project"

/* What the mount of an overlay may take; btrfs asks for much more than it then uses. */
#define POOL_ROOM_BYTES	 (4ull << 20)
#define POOL_ROOM_INODES 16

/*
 * A directory of a pool by its name, there or to be made. A group is a tenant's directory: every
 * directory made with it as group_fd counts to it.
 */
struct pool_entry {
	int root_fd;  /* the pool's; never full: what is not to be stopped by a limit goes there */
	int group_fd; /* -1: of no group */
	int parent_fd;
	const char *name;
	const struct pool_reading *reading; /* of what it is to be a copy; NULL: nobody asks */
};

/* Called by clone() around what reads its source, and nothing else. */
static inline int pool_reading_begin(const struct pool_entry *entry, struct err *err)
{
	return entry->reading ? entry->reading->begin(entry->reading->arg, err) : 0;
}

static inline void pool_reading_end(const struct pool_entry *entry)
{
	if (entry->reading)
		entry->reading->end(entry->reading->arg);
}

/* What a new directory is to be. */
struct pool_new {
	struct disk_limits quota; /* what set_limit() will be told, beside its group's */
	int instead_fd;		  /* the directory whose place it will take; -1: none */
};

/* What a limit or a measurement is about. */
struct pool_target {
	int root_fd;
	int group_fd; /* -1: of no group */
	int dir_fd;   /* -1: the whole group */
};

/* Descriptors are open directories (not O_PATH). Each function returns 0 or -errno with err. */
struct pool_ops {
	const char *name;
	bool has_limits; /* of disk */
	bool has_inodes; /* of inodes, and tells how many are in use */
	bool copies;	 /* clone() copies the tree */
	bool sets_aside; /* a directory's own limit is taken from its group's */
	/* True when this host can do it there: probed, nothing made. */
	bool (*works)(const struct pool_config *config);
	/* Makes what is missing and mounts it on the state directory's POOL_DIR. Under the lock. */
	int (*mount)(const struct pool_config *config, struct err *err);
	/* Checks and prepares a pool just mounted or found mounted. Under the lock. */
	int (*prepare)(const struct pool_config *config, int root_fd, struct err *err);
	/* Lets go of what mount() took, once it is unmounted. Under the lock. */
	int (*release)(const struct pool_config *config, struct err *err);

	/* Idempotent. */
	int (*make)(const struct pool_entry *entry, const struct pool_new *new, struct err *err);
	/* Makes dir_fd a group. Idempotent. */
	int (*make_group)(int root_fd, int dir_fd, struct err *err);
	/* Removes the directory with all it holds; `group`: it was made a group. Idempotent. */
	int (*drop)(const struct pool_entry *entry, bool group, struct err *err);
	/*
	 * Makes the entry a copy of from_fd that appears as a whole and is then on the disk, or
	 * does not appear; -EEXIST when the name is taken. read_only: a snapshot that stays as it
	 * is.
	 */
	int (*clone)(int from_fd, const struct pool_entry *entry, const struct pool_new *new,
		bool read_only, struct err *err);
	/*
	 * How much of what counts to dir_fd, now or later, may be its snapshots' alone: what it
	 * uses where a block counts to whom wrote it, and 0 where it counts to whom has it.
	 */
	int (*held)(int dir_fd, uint64_t *ret_bytes, struct err *err);
	/* Nobody writes to it from now on. */
	int (*seal)(int dir_fd, struct err *err);
	/* A limit is changeable when the directory is full. */
	int (*set_limit)(
		const struct pool_target *target, const struct disk_limits *quota, struct err *err);
	/*
	 * exact: for a new limit to be compared with; it waits until what was written before is
	 * counted, and includes what is set aside.
	 */
	int (*usage)(const struct pool_target *target, bool exact, struct disk_limits *ret,
		struct err *err);
	/*
	 * What takes up room under the target's own limits (for a group: with what is set aside),
	 * and those limits as the kernel holds them. NULL on a driver without limits.
	 */
	int (*fill)(const struct pool_target *target, struct disk_limits *ret_used,
		struct disk_limits *ret_limit, struct err *err);
	/*
	 * more: dir_fd and its group may both hold POOL_ROOM_BYTES and POOL_ROOM_INODES more than
	 * they do or may; else exactly their limits again, dir_fd's being `own`. NULL on a driver
	 * without limits.
	 */
	int (*stretch)(const struct pool_target *target, const struct disk_limits *own, bool more,
		struct err *err);
};

extern const struct pool_ops pool_btrfs_ops;
extern const struct pool_ops pool_plain_ops;
extern const struct pool_ops pool_project_ops;

/* No limits, and in nobody's place. */
extern const struct pool_new pool_new_plain;

struct pool {
	const struct pool_ops *ops;
	int root_fd;
	int images_fd;
	int incoming_fd;
	int tenants_fd;
	const struct pool_reading
		*reading; /* the caller's, for the copy that it asks for; or NULL */
};

/* Opens an existing directory that Croft made; `what` and its name go into the message. */
int pool_open_named(
	int parent_fd, const char *what, const char *name, int flags, int *ret_fd, struct err *err);
int pool_open_tenant(struct pool *pool, const char *tenant, int *ret_fd, struct err *err);
/* Refuses a limit that the driver does not have, before anything is made. */
int pool_refuse_limit(struct pool *pool, const struct disk_limits *quota, struct err *err);
/* LIMIT_BELOW_USE when more is in use than `held`, what the driver is to hold it to for `quota`,
 * and that is less than before. */
int pool_check_above_use(struct pool *pool, const struct pool_target *target,
	const struct disk_limits *held, const struct disk_limits *quota, struct err *err);
/* The directories `upper` and `work` of a container's directory. Idempotent. */
int pool_make_layers(struct pool *pool, int dir_fd, struct err *err);
/*
 * What failed with -error while something of a tenant's was written: DISK_FULL when the tenant's
 * disk is full, POOL_FULL when the whole pool is, whichever number the file system gives for it.
 */
int pool_write_failed(int root_fd, int error, const char *doing, struct err *err);

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
/* The `upper` of a snapshot; the caller's. */
int pool_snapshot_open_upper(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, int *ret_fd, struct err *err);
/* The directory of a container's snapshots, made where there is none; the caller's. */
int pool_snapshots_make(int tenant_fd, const char *container, int *ret_fd, struct err *err);
/* Makes incoming/<name> a copy of the image `base`; of "": an empty tree. */
int pool_clone_base(struct pool *pool, const char *base, const char *name, struct err *err);
/* What a container's own limit is to be for the driver: its snapshots do not count to it. */
struct disk_limits pool_own_limit(
	int tenant_fd, const char *container, const struct disk_limits *quota);

/* True when something is mounted on the state directory's POOL_DIR, in our mount namespace. */
int pool_is_mounted(int state_fd, bool *ret, struct err *err);
/* Attaches a detached mount there, and closes nothing. */
int pool_move_mount(int mount_fd, int state_fd, struct err *err);
