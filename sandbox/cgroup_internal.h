/*
 * What the files of the cgroup library share: the hierarchies found, and one struct of functions
 * for everything in which the drivers differ. Nothing outside sandbox/cgroup*.c includes this but
 * their tests.
 *
 * A "dir" is a path below the parent: "acme" for a tenant, "acme/web" for a container.
 */
#pragma once

#include "sandbox/cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What Croft uses of cgroups; each lives in one hierarchy, several may share one. */
enum cgroup_controller {
	CGROUP_CORE, /* the cgroup2 tree itself: freeze, kill, events */
	CGROUP_CPU,
	CGROUP_CPUACCT,
	CGROUP_CPUSET,
	CGROUP_MEMORY,
	CGROUP_PIDS,
	CGROUP_DEVICES,
	CGROUP_IO,	/* v1: blkio; a host may have none */
	CGROUP_SYSTEMD, /* v1 name=systemd: no controller, but systemd inside needs its own */
	CGROUP_CONTROLLER_N,
};

#define CGROUP_LEAF    "_croft"	     /* a tenant's work outside its containers */
#define CGROUP_SELF    "_supervisor" /* where the daemons of a delegated cgroup live */
#define CGROUP_PAYLOAD "payload"

/* "<tenant>/<container>/payload" and its terminator. */
#define CGROUP_DIR_SIZE	 (2 * NAME_SIZE + sizeof(CGROUP_PAYLOAD) + 2)
#define CGROUP_FILE_SIZE (CGROUP_DIR_SIZE + 64) /* the same with the name of a control file */
#define CGROUP_MOUNT_MAX 256
/* The longest text of a control file that is read: a CPU list of LIMITS_CPUS_MAX single CPUs. */
#define CGROUP_TEXT_MAX 8192

/* Where the controllers are mounted. */
struct cgroup_layout {
	enum cgroup_kind kind;
	char mount[CGROUP_CONTROLLER_N][CGROUP_MOUNT_MAX]; /* hierarchies; the first is cgroup2 */
	char mount_root[CGROUP_MOUNT_MAX]; /* which part of the cgroup2 tree is mounted there */
	size_t n_mounts;
	int8_t hierarchy[CGROUP_CONTROLLER_N]; /* index into mount; -1: not on this host */
};

#define LIMIT_BIT(id)  (1u << (id))
#define LIMIT_BITS_ALL (LIMIT_BIT(LIMIT_N) - 1)

struct cgroup_ops;

struct cgroup_root {
	const struct cgroup_ops *ops;
	int fd[CGROUP_CONTROLLER_N];	   /* the parent directory in each hierarchy */
	int mount_fd[CGROUP_CONTROLLER_N]; /* where it is mounted */
	size_t n_hierarchies;
	int8_t hierarchy[CGROUP_CONTROLLER_N]; /* controller -> index of its hierarchy; -1: none */
	char parent[NAME_SIZE];		       /* "" when delegated */
	uint64_t page_bytes;
	int device_prog_fd; /* v2: the device program once loaded; -1 before */
	/* What the kernel can do, found by prepare_parent(). */
	bool has_swap;		  /* swap is accounted */
	bool has_cpu_quota;	  /* CONFIG_CFS_BANDWIDTH */
	bool has_io_limit;	  /* CONFIG_BLK_DEV_THROTTLING */
	struct block_device disk; /* the one to limit */
};

struct cgroup_ops {
	enum cgroup_kind kind;
	/* After the parent directory was opened: controllers on, inheritance set. */
	int (*prepare_parent)(struct cgroup_root *root, struct err *err);
	/* After a tenant's directory was made. */
	int (*prepare_tenant)(struct cgroup_root *root, const char *dir, struct err *err);
	/* After a container's directory was made, before its payload. */
	int (*prepare_container)(struct cgroup_root *root, const char *dir, struct err *err);

	/* The file that tells the memory in use. */
	const char *memory_use_file;
	/* The file of the CPUs that a directory may really use. */
	const char *effective_cpus_file;
	/* v1 limits swap only as a sum with memory. */
	bool swap_needs_memory;
	/*
	 * Why the kernel cannot hold a limit of I/O of that directory, as a sentence that says what
	 * to do; NULL: it can. NULL where it always can.
	 */
	const char *(*refuse_io)(const char *dir, enum limit_id limit);
	/*
	 * What the kernel holds now of the limits in `which` (bits of enum limit_id). Left alone
	 * (LIMIT_UNSET, an empty core_mask) where there is no limit. Returns 0 or -errno.
	 */
	int (*read_limits)(const struct cgroup_root *root, const char *dir, unsigned which,
		struct limits *ret);
	/*
	 * Gets the memory in use down to `bytes` without killing, so far as the kernel can without
	 * a limit. NULL where the kernel refuses a limit that does not fit (v1).
	 */
	void (*reclaim)(const struct cgroup_root *root, const char *dir, uint64_t bytes);
	/* Writes and reads back each value in which want differs from now. */
	int (*write_limits)(const struct cgroup_root *root, const char *dir,
		const struct limits *now, const struct limits *want, bool force, struct err *err);
	/* The same of the limits of I/O alone. */
	int (*write_io)(const struct cgroup_root *root, const char *dir, const struct limits *want,
		struct err *err);
	/* Has the kernel count the I/O of a disk. NULL where it always does. */
	int (*count_io)(
		const struct cgroup_root *root, const struct block_device *disk, struct err *err);
	/* Puts the quota into a payload for lxcfs to see (LIMIT_UNSET: takes it away). */
	void (*show_quota)(
		const struct cgroup_root *root, const char *payload, uint64_t quota_milli);
	int (*write_oom_group)(
		const struct cgroup_root *root, const char *dir, bool on, struct err *err);

	int (*set_devices)(struct cgroup_root *root, const char *dir, struct err *err);
	/* Lets a container's payload have all controllers, with the container's limits above.
	   NULL: it cannot. */
	int (*pass_controllers)(const struct cgroup_root *root, const char *dir, struct err *err);
	/* Gives a payload what it needs beside its directory of the cgroup2 tree. NULL: nothing. */
	int (*delegate)(const struct cgroup_root *root, const char *dir, uid_t uid, gid_t gid,
		struct err *err);
	/* Opens what a process writes to or is cloned into, to be in `leaf`. Returns 0 or -errno.
	 */
	int (*open_join)(
		const struct cgroup_root *root, const char *leaf, struct cgroup_join *join);
	/* Fills the descriptors of a watch that has none yet. Returns 0 or -errno. */
	int (*open_watch)(
		const struct cgroup_root *root, const char *dir, struct cgroup_watch *watch);
};

extern const struct cgroup_ops cgroup_unified_ops;
extern const struct cgroup_ops cgroup_hybrid_ops;

/*
 * cgroup.c: makes uid and gid the owners of these files (NULL ends them; "" is the directory,
 * others begin with a slash) of the payload below `dir`, and of nothing else.
 */
int cgroup_give_payload(int hierarchy_fd, const char *dir, const char *const *files, uid_t uid,
	gid_t gid, struct err *err);

/*
 * cgroup_detect.c
 */

/*
 * Finds the driver and the hierarchies from the text of /proc/self/mountinfo; only what is mounted
 * on or below sysfs counts. Reads cgroup.controllers of a cgroup2 mount. Returns 0, or
 * FAILED_PRECONDITION / CGROUP_UNSUPPORTED naming what is missing.
 */
int cgroup_detect(
	const char *mountinfo, const char *sysfs, struct cgroup_layout *ret, struct err *err);
/* The name of a controller in v1's mount options and v2's cgroup.controllers. */
const char *cgroup_controller_name(enum cgroup_controller controller);
/* The same of v2 alone, where one has another name. */
const char *cgroup_controller_v2_name(enum cgroup_controller controller);
/* True when the space- or comma-separated list holds the word. */
bool cgroup_list_has(const char *list, char separator, const char *word);
/* The cgroup2 path in the text of /proc/PID/cgroup. Returns 0, -ENOENT or -ENAMETOOLONG. */
int cgroup_parse_own_path(const char *text, char *ret, size_t size);

/*
 * cgroup_files.c: one control file of one directory. Errors name the file, never a path.
 */

int cgroup_dir_of(const struct cgroup_id *id, char ret[static CGROUP_DIR_SIZE], struct err *err);
/* The directory that processes join: payload, or _croft itself. A tenant is refused. */
int cgroup_leaf_of(const struct cgroup_id *id, char ret[static CGROUP_DIR_SIZE], struct err *err);
/* A container's payload. dir must be that of a container. */
void cgroup_payload_of(const char *dir, char ret[static CGROUP_DIR_SIZE]);
int cgroup_hierarchy_fd(const struct cgroup_root *root, enum cgroup_controller controller);
/* Opens dir/file of a controller's hierarchy. Returns the descriptor or -errno. */
int cgroup_open_file(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, int flags);
bool cgroup_has_file(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file);
/* Returns the length of the text or -errno. */
ssize_t cgroup_read_text(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, char *buf, size_t size);
/* "max" and "-1" give LIMIT_UNSET. Returns 0 or -errno. */
int cgroup_read_u64(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, uint64_t *ret);
/* Returns 0 or -errno. */
int cgroup_write_text(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, const char *text);
/*
 * Writes text and reads the file back through the same descriptor. Returns 0 or -errno, without
 * err: the caller knows which errno means what.
 */
int cgroup_write_back(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, const char *text, char *ret_back, size_t size);
/* Writes a number (LIMIT_UNSET as `unlimited`); LIMIT_NOT_APPLIED when another is read back. */
int cgroup_write_limit(const struct cgroup_root *root, enum cgroup_controller controller,
	const char *dir, const char *file, uint64_t value, const char *unlimited,
	enum limit_id limit, struct err *err);
/* INTERNAL / LIMIT_NOT_APPLIED. */
int cgroup_not_applied(enum limit_id limit, const char *back, struct err *err);
/* A control file's number: "max", "-1" and v1's "as much as fits" are LIMIT_UNSET. 0 or -EINVAL. */
int cgroup_parse_value(const char *text, uint64_t *ret);
/* A CPU list; "" gives an empty mask. Returns 0 or -EINVAL. */
int cgroup_parse_cpus(const char *text, uint64_t ret_mask[static LIMITS_CPU_WORDS]);
/* The CPUs that a directory may really use. */
int cgroup_read_effective_cpus(const struct cgroup_root *root, const char *dir,
	uint64_t ret_mask[static LIMITS_CPU_WORDS], struct err *err);
bool cgroup_mask_within(const uint64_t mask[static LIMITS_CPU_WORDS],
	const uint64_t outer[static LIMITS_CPU_WORDS]);

/*
 * cgroup_tree.c
 */

/*
 * Removes parent_fd/dir with every directory below. Returns 0 (also when there is none), -EBUSY
 * while a process is in one of them, or -errno.
 */
int cgroup_tree_remove(int parent_fd, const char *dir);
/* Calls fn for each subdirectory with the number as argument. Stops at its first non-zero value. */
int cgroup_tree_each(
	int parent_fd, const char *dir, int (*fn)(const char *name, void *arg), void *arg);

/* What cannot simply be dropped of use_bytes: use less the inactive file cache. */
int cgroup_read_working_set(const struct cgroup_root *root, const char *dir, uint64_t use_bytes,
	uint64_t *ret, struct err *err);

/* FAILED_PRECONDITION / LIMIT_BELOW_USE with the present figure. */
int cgroup_below_use(uint64_t asked_bytes, uint64_t use_bytes, struct err *err);
/* The same of what was forced in vain. */
int cgroup_not_freed(uint64_t asked_bytes, uint64_t use_bytes, struct err *err);

/*
 * cgroup_device.c
 */

/* Writes the rules to v1's devices.deny and devices.allow of a directory without children. */
int cgroup_device_write_v1(const struct cgroup_root *root, const char *dir, struct err *err);
/* Attaches the device program to a cgroup2 directory, in place of one attached before. */
int cgroup_device_attach_v2(struct cgroup_root *root, const char *dir, struct err *err);

/*
 * cgroup_io.c: what the limits of I/O on both drivers share.
 */

#define LIMIT_BITS_IO                                                                              \
	(LIMIT_BIT(LIMIT_IO_READ) | LIMIT_BIT(LIMIT_IO_WRITE) | LIMIT_BIT(LIMIT_IO_READ_OPS) |     \
		LIMIT_BIT(LIMIT_IO_WRITE_OPS))

/*
 * The next disk that a control file has a line of, and the rest of the line. *at is the file's text
 * at first, which is cut up. False at its end.
 */
bool cgroup_io_next_disk(char **at, struct block_device *ret_disk, const char **ret_rest);
bool cgroup_io_same_disk(const struct block_device *a, const struct block_device *b);
/* LIMIT_UNSUPPORTED, with the reason, unless each limit of I/O asked for can be held. */
int cgroup_io_check(const struct cgroup_root *root, const char *dir, const struct limits *want,
	struct err *err);

/*
 * cgroup_hybrid_io.c and cgroup_unified_io.c: as read_limits and write_limits of the cgroup_ops,
 * for the limits of I/O. Lines of other disks, where the pool has been before, are taken off.
 */
int cgroup_hybrid_read_io(const struct cgroup_root *root, const char *dir, struct limits *ret);
int cgroup_hybrid_write_io(const struct cgroup_root *root, const char *dir,
	const struct limits *want, struct err *err);
int cgroup_hybrid_count_io(
	const struct cgroup_root *root, const struct block_device *disk, struct err *err);
const char *cgroup_hybrid_refuse_io(const char *dir, enum limit_id limit);
int cgroup_unified_read_io(const struct cgroup_root *root, const char *dir, struct limits *ret);
int cgroup_unified_write_io(const struct cgroup_root *root, const char *dir,
	const struct limits *want, struct err *err);

/*
 * cgroup_watch.c: adds one control file to the inotify descriptor. Returns 0 or -errno.
 */
int cgroup_watch_file(struct cgroup_watch *watch, const struct cgroup_root *root,
	enum cgroup_controller controller, const char *dir, const char *file);

/*
 * cgroup_hybrid_limits.c and cgroup_hybrid_cpus.c; as the cgroup_ops of the same name.
 */
int cgroup_hybrid_read_limits(
	const struct cgroup_root *root, const char *dir, unsigned which, struct limits *ret);
int cgroup_hybrid_write_limits(const struct cgroup_root *root, const char *dir,
	const struct limits *now, const struct limits *want, bool force, struct err *err);

/* The CPU quota of a directory in thousandths of a core; left alone where there is none. */
int cgroup_hybrid_read_quota(const struct cgroup_root *root, const char *dir, uint64_t *ret_milli);
void cgroup_hybrid_show_quota(
	const struct cgroup_root *root, const char *payload, uint64_t quota_milli);

/*
 * cgroup_view.c: repeats in the payload of a container (dir a tenant: of all its containers) which
 * quota holds there, and takes that away again.
 */
void cgroup_view_show_quota(const struct cgroup_root *root, const char *dir);
void cgroup_view_hide_quota(const struct cgroup_root *root, const char *dir);

/* The longest that the kernel takes (max_cfs_quota_period, kernel/sched/core.c). */
#define CGROUP_VIEW_PERIOD_USEC 1000000

/*
 * Lowers memory below present use: reclaims, then kills, as v2 does, each kill counted. If in vain
 * LIMIT_BELOW_USE, and the limit is again what it was before.
 */
int cgroup_hybrid_force_memory(const struct cgroup_root *root, const char *dir, uint64_t memory,
	uint64_t before, struct err *err);
/* cgroup_unified_cpus.c: a list of all CPUs that there can be reads as none. */
int cgroup_unified_read_cores(const struct cgroup_root *root, const char *dir,
	uint64_t ret_mask[static LIMITS_CPU_WORDS]);
int cgroup_unified_write_cores(const struct cgroup_root *root, const char *dir,
	const uint64_t mask[static LIMITS_CPU_WORDS], struct err *err);
/* The parent directory's CPUs and memory nodes, which new directories then take over. */
int cgroup_hybrid_prepare_cpuset(struct cgroup_root *root, struct err *err);
/* A list equal to the parent's reads as none. Returns 0 or -errno. */
int cgroup_hybrid_read_cores(const struct cgroup_root *root, const char *dir,
	uint64_t ret_mask[static LIMITS_CPU_WORDS]);
int cgroup_hybrid_write_cores(const struct cgroup_root *root, const char *dir,
	const struct limits *now, const struct limits *want, struct err *err);
