/*
 * Cgroups behind one interface: limits mean the same on `unified` (v2) and `hybrid` (v1).
 *
 * Layout, on every hierarchy used: /<parent>/<tenant>/<container>/payload. Limits sit in the host's
 * tenant and container directories; processes live in payload, which is the root of the container's
 * cgroup namespace. A tenant's work outside its containers runs in /<parent>/<tenant>/_croft.
 *
 * Only workers may call what creates, removes or waits (the kernel serialises those on one mutex);
 * the supervisor's loop may call cgroup_freeze(), cgroup_thaw(), cgroup_kill() and the openers.
 */
#pragma once

#include "base/err.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/name.h"
#include "sandbox/block_device.h"
#include "sandbox/counters.h"

#include <stdbool.h>
#include <sys/types.h>

struct cgroup_root;

/* In a tenant's place: what runs for tenants outside of their limits, each with a name as theirs.
 */
#define CGROUP_VIEWS "_views"
/* And in there, for all tenants: who answers refused system calls (refuser.h). */
#define CGROUP_REFUSER "_refused"

/*
 * Which directory: a tenant (container ""), or one of its containers (or "_croft"). The tenant
 * CGROUP_VIEWS is none, and cgroup_for_each() leaves it out.
 */
struct cgroup_id {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
};

/*
 * Detects the driver (which hierarchy holds pids, memory and cpu), makes the parent directory with
 * its controllers enabled, and opens it. parent is a plain name ("croft"), or "" to use the cgroup
 * that the caller was delegated (systemd's Delegate=; v2 only): the processes in it then move to
 * its leaf _supervisor, since a cgroup with processes cannot have limited children. sysfs is
 * "/sys/fs/cgroup" but for tests. Returns 0 with *ret owned by the caller. Errors:
 * FAILED_PRECONDITION / CGROUP_UNSUPPORTED naming the controller that is missing.
 */
int cgroup_root_open(
	const char *sysfs, const char *parent, struct cgroup_root **ret, struct err *err);
void cgroup_root_close(struct cgroup_root *root);
/* Adds what a worker needs of it. */
void cgroup_root_list_fds(const struct cgroup_root *root, struct fd_list *list);
/* How deep the parent directory lies in the host's cgroup2 tree; -ENOENT where that is not seen. */
int cgroup_root_depth(const struct cgroup_root *root);
enum cgroup_kind cgroup_root_kind(const struct cgroup_root *root);
/* Removes the parent directory everywhere; it must be empty. Idempotent. */
int cgroup_root_remove(struct cgroup_root *root, struct err *err);

/* Makes the directories of a tenant, or of a container with its payload (idempotent). */
int cgroup_make(struct cgroup_root *root, const struct cgroup_id *id, struct err *err);

/* Names the disk whose I/O the limits are about. Until then there is none to limit. */
void cgroup_limit_io_of(struct cgroup_root *root, const struct block_device *disk);

/*
 * Has the kernel count what containers read from and write to that disk. Before or after
 * cgroup_limit_io_of(); it may wait for what the disk has under way. Returns 0, also where there is
 * nothing to count, or -errno: then it may count nothing.
 */
int cgroup_count_io_of(
	const struct cgroup_root *root, const struct block_device *disk, struct err *err);

/* The same disk for the counters: major 0 while it is not known. */
struct io_disk cgroup_io_disk(const struct cgroup_root *root);
/* So far as the disk is known. */
enum io_limits cgroup_io_limits(const struct cgroup_root *root);

/*
 * Applies limits to a tenant or container; unset values lift the limit (swap: unset is 0).
 * Checks first, then writes, then reads back what the kernel made of it (rounded values compare
 * equal); a limit that did not take is INTERNAL / LIMIT_NOT_APPLIED. core_mask must be resolved
 * (a mere count is not applied here). Refusals, nothing having been written:
 * - FAILED_PRECONDITION / LIMIT_BELOW_USE (subject "memory", present use in the message), unless
 *   force: then processes are killed until it fits, the largest first, and each counts as an OOM
 *   kill; if what is left cannot be freed so, it is refused all the same
 * - FAILED_PRECONDITION / LIMIT_BELOW_CHILD (a tenant's limit under a container's, which is named)
 * - INVALID_ARGUMENT / LIMIT_ABOVE_TENANT (a container's limit above its tenant's)
 * - INVALID_ARGUMENT / LIMIT_INVALID (out of bounds)
 * - FAILED_PRECONDITION / CORES_OFFLINE (the host has none of the cores; those that it has of them
 *   are taken where it has some)
 * - UNIMPLEMENTED / LIMIT_UNSUPPORTED (the kernel cannot, e.g. swap without swap accounting; on v1
 *   writes, and what a tenant's containers read together)
 * Use is the working set: the inactive page cache can go. A swap of 0 is accepted where the kernel
 * does not account swap. oom_group: an OOM kill takes the whole container (v1 has none: the
 * supervisor kills it when the watch below tells).
 */
int cgroup_set_limits(struct cgroup_root *root, const struct cgroup_id *id,
	const struct limits *limits, bool oom_group, bool force, struct err *err);

/* The fixed device rules (null zero full random urandom tty ptmx pts, net/tun with nesting) on a
 * container: v1 devices.deny/allow, v2 a device program. Everything else is refused. */
int cgroup_set_devices(struct cgroup_root *root, const struct cgroup_id *id, struct err *err);

/*
 * Gives payload's directory to uid/gid so far as the container's own init may manage its tree: of
 * the cgroup2 tree the directory, cgroup.procs and cgroup.threads; of v1 only the name=systemd
 * hierarchy. Bounds what may be made in the cgroup2 tree (cgroup.max.descendants,
 * cgroup.max.depth); v1 has no such bound. On v2 payload has the controllers cpu and memory, for
 * what they tell; none of their files is given.
 *
 * nesting: on v2 all controllers, and cgroup.subtree_control is given, so that init can divide
 * among cgroups of its own what the container has. The container's own limits stay above, where it
 * cannot write. On v1, whose controllers cannot be given away safely, there is nothing to divide.
 */
int cgroup_delegate(struct cgroup_root *root, const struct cgroup_id *id, uid_t uid, gid_t gid,
	bool nesting, struct err *err);

#define CGROUP_JOIN_MAX 16
/* What it takes to put a new process into a payload (or _croft) without a migration lock. */
struct cgroup_join {
	enum cgroup_kind kind;
	int into_fd;		       /* the cgroup2 directory, for CLONE_INTO_CGROUP */
	int task_fds[CGROUP_JOIN_MAX]; /* v1: each controller's `tasks` */
	size_t n_task_fds;
	int pids_current_fd[2]; /* container's and tenant's, for cgroup_join_check() */
	int pids_max_fd[2];
};

int cgroup_join_open(struct cgroup_root *root, const struct cgroup_id *id, struct cgroup_join *ret,
	struct err *err);
/*
 * As cgroup_join_open(), for a container with nesting: where its init is. On v2 that one may have
 * moved, and passed controllers on, so that its payload takes no process itself. What /proc says of
 * init is only looked up below payload, which is all that the container can choose.
 */
int cgroup_join_open_beside(struct cgroup_root *root, const struct cgroup_id *id, pid_t init,
	struct cgroup_join *ret, struct err *err);
void cgroup_join_close(struct cgroup_join *join);
void cgroup_join_list_fds(const struct cgroup_join *join, struct fd_list *list);

/*
 * Called by the joining process itself, single-threaded, after it was cloned into into_fd: on v1
 * writes "0" to each tasks file (which avoids cgroup_threadgroup_rwsem); on v2 nothing is left.
 * Then checks that neither the container's nor the tenant's pids limit is exceeded, since the
 * kernel lets an attach pass it. Returns 0, -EAGAIN when over the limit (the caller must exit), or
 * -errno. Async-signal-safe: no allocation, no err.
 */
int cgroup_join_self(const struct cgroup_join *join);

/*
 * Mounts the container's view of its cgroups on the directory `target` (an empty directory in the
 * caller's mount namespace, below its future root). To be called in the outer user namespace after
 * unshare(CLONE_NEWCGROUP). v2: one writable cgroup2. v1: a tmpfs with every v1 controller
 * read-only and name=systemd writable. Needs no cgroup_root, which a container must not hold.
 */
int cgroup_mount_inside(enum cgroup_kind kind, const char *target, struct err *err);

/*
 * Through cgroup2's cgroup.freeze and cgroup.kill on both drivers. Killing a container also lifts
 * its limits of I/O, which its processes would have to wait for until they can die.
 */
int cgroup_freeze(struct cgroup_root *root, const struct cgroup_id *id, struct err *err);
int cgroup_thaw(struct cgroup_root *root, const struct cgroup_id *id, struct err *err);
int cgroup_kill(struct cgroup_root *root, const struct cgroup_id *id, struct err *err);
/* 1 frozen, 0 not, or not all of it for the moment (somebody is just dying), -errno. */
int cgroup_is_frozen(struct cgroup_root *root, const struct cgroup_id *id);
/* Whether it was told to freeze, itself: what joins it will stand still. 1, 0, -errno. */
int cgroup_is_told_to_freeze(struct cgroup_root *root, const struct cgroup_id *id);
/* Waits until the kernel says that it is frozen, or no longer is. 0, -ETIMEDOUT or -errno. */
int cgroup_wait_frozen(struct cgroup_root *root, const struct cgroup_id *id, bool frozen,
	int timeout_ms, struct err *err);
/* Waits until no process is left below (cgroup.events populated 0). 0, -ETIMEDOUT or -errno. */
int cgroup_wait_empty(
	struct cgroup_root *root, const struct cgroup_id *id, int timeout_ms, struct err *err);
/* True while the directories exist. */
bool cgroup_exists(struct cgroup_root *root, const struct cgroup_id *id);

/*
 * Removes a container's or tenant's directories with whatever a tenant's init made below payload,
 * deepest first. Idempotent; -EBUSY (FAILED_PRECONDITION / CGROUP_BUSY) while a process is left, or
 * while a tenant still has containers.
 */
int cgroup_remove(struct cgroup_root *root, const struct cgroup_id *id, struct err *err);

/*
 * The inode of a container's cgroup2 directory, by which the kernel knows it as well (cgroup ids of
 * BPF programs). Returns 0 or -errno.
 */
int cgroup_inode(struct cgroup_root *root, const struct cgroup_id *id, uint64_t *ret);

/* Opens the directories behind the counters: counters_n_dirs() descriptors, the caller's. */
int cgroup_open_dirs(struct cgroup_root *root, const struct cgroup_id *id,
	int ret_fds[static COUNTER_DIR_N], struct err *err);

/*
 * Descriptors that tell when the container met its memory or pids limit or was OOM-killed: an
 * eventfd, readable (v1: memory.oom_control by cgroup.event_control, which is root's), and event
 * files, which poll as EPOLLPRI (pids.events; memory.events on v2). cgroup_watch_drain() arms them
 * again; what happened is in the counters. A watch may fire for nothing, and Linux 6.18 counts on
 * v1 without telling: pids_event() notifies another file. Sweeps see what was not told.
 */
#define CGROUP_WATCH_FILES 2
struct cgroup_watch {
	int oom_fd; /* -1 on v2 */
	int file_fds[CGROUP_WATCH_FILES];
	size_t n_files;
};
int cgroup_watch_open(struct cgroup_root *root, const struct cgroup_id *id,
	struct cgroup_watch *ret, struct err *err);
void cgroup_watch_drain(const struct cgroup_watch *watch);
void cgroup_watch_close(struct cgroup_watch *watch);

/* The CPUs that may be used at all: the root's effective set, as a mask. */
int cgroup_host_cpus(
	struct cgroup_root *root, uint64_t ret_mask[static LIMITS_CPU_WORDS], struct err *err);

/*
 * Calls fn for every container found below the parent, and for each tenant after its containers
 * (restart, clean-up: fn may remove what it is called for). _croft belongs to its tenant. Stops at
 * the first value of fn that is not 0, and returns it.
 */
int cgroup_for_each(struct cgroup_root *root,
	int (*fn)(const struct cgroup_id *id, void *arg, struct err *err), void *arg,
	struct err *err);
/* The same for what is below CGROUP_VIEWS, and for that itself in the end. */
int cgroup_for_each_view(struct cgroup_root *root,
	int (*fn)(const struct cgroup_id *id, void *arg, struct err *err), void *arg,
	struct err *err);
