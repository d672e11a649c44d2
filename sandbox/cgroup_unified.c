/*
 * The driver for cgroup v2. Controllers are enabled for a tenant's children. payload has two of
 * them, for lxcfs to read, and may pass none on: nobody could join a cgroup that has. With nesting
 * it has all but I/O, and may. The limits stay in the container's directory, above all that the
 * container can write.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PERIOD_USEC 100000

/* How long what the killed held may take to be given back after a forced memory limit. */
#define SETTLE_TIME_USEC  (2 * 1000000)
#define SETTLE_PAUSE_NSEC (5 * 1000 * 1000)

/* Rounds of moving a cgroup's processes away, each of which may find some forked meanwhile. */
#define MOVE_ROUNDS 100

/*
 * Those that payload has always come first. Not pids: before Linux 6.11 a refused fork is counted
 * in the cgroup that forked, and must be in the container's. The last it never has: who holds
 * itself to a byte a second, in the middle of the file system's work, holds up everybody (ADR 71).
 */
static const enum cgroup_controller controllers[] = {
	CGROUP_CPU, CGROUP_MEMORY, CGROUP_CPUSET, CGROUP_PIDS, CGROUP_IO};

#define N_SHOWN	  2
#define N_NESTING (ARRAY_SIZE(controllers) - 1)

#define ENABLE_SIZE 64

/* "+cpu +memory ..." of the first n that the host has and are not in `enabled`; "" when all are. */
static void format_missing(
	const struct cgroup_root *root, const char *enabled, size_t n, char ret[static ENABLE_SIZE])
{
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const char *name = cgroup_controller_v2_name(controllers[i]);

		if (root->hierarchy[controllers[i]] >= 0 && !cgroup_list_has(enabled, ' ', name))
			len += (size_t)snprintf(
				ret + len, ENABLE_SIZE - len, "%s+%s", len ? " " : "", name);
	}
}

static int enable_some_at(
	const struct cgroup_root *root, int dirfd, size_t n_wanted, struct err *err)
{
	char missing[ENABLE_SIZE];
	char enabled[256];
	ssize_t n = fd_read_text_at(dirfd, "cgroup.subtree_control", enabled, sizeof(enabled));
	int r = n < 0 ? (int)n : 0;

	if (r == 0)
		format_missing(root, enabled, n_wanted, missing);
	if (r == 0 && missing[0])
		r = fd_write_text_at(dirfd, "cgroup.subtree_control", missing);
	return r < 0 ? err_sys(err, r, "enable the cgroup controllers") : 0;
}

static int enable_at(const struct cgroup_root *root, int dirfd, struct err *err)
{
	return enable_some_at(root, dirfd, ARRAY_SIZE(controllers), err);
}

/* sd_booted(3). */
static bool is_under_systemd(void)
{
	return faccessat(AT_FDCWD, "/run/systemd/system", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The top of the tree has to pass its controllers on. Under systemd that is not ours to change. */
static int enable_top(struct cgroup_root *root, struct err *err)
{
	char missing[ENABLE_SIZE];
	bool is_ours = root->parent[0] && !is_under_systemd();
	char available[256];
	ssize_t n = fd_read_text_at(
		root->fd[0], "cgroup.controllers", available, sizeof(available));

	if (n < 0)
		return err_sys(err, (int)n, "read cgroup.controllers");
	if (!is_ours && !cgroup_list_has(available, ' ', cgroup_controller_v2_name(CGROUP_IO)))
		root->hierarchy[CGROUP_IO] = -1; /* without it no I/O is limited, and no more */
	format_missing(root, available, ARRAY_SIZE(controllers), missing);
	if (!missing[0])
		return 0;
	if (!is_ours)
		return err_set(err, ERR_FAILED_PRECONDITION, "CGROUP_UNSUPPORTED",
			"Croft's cgroup lacks the controllers %s; run it in a systemd unit with "
			"Delegate=yes",
			missing);
	return enable_at(root, root->mount_fd[0], err);
}

/* Moves what is listed; *ret_moved tells whether there was anything. */
static int move_listed(int from, int to, bool *ret_moved)
{
	_cleanup_close_ int fd = openat(from, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *procs = NULL;
	char line[32];

	if (fd < 0)
		return -errno;
	procs = fdopen(fd, "re");
	if (!procs)
		return -errno;
	take_fd(&fd);
	*ret_moved = false;
	while (fgets(line, sizeof(line), procs)) {
		int r;

		line[strcspn(line, "\n")] = '\0';
		r = fd_write_text_at(to, "cgroup.procs", line);
		if (r < 0 && r != -ESRCH)
			return r;
		*ret_moved = true;
	}
	return 0;
}

/*
 * A delegated cgroup holds the daemons themselves, and a cgroup with processes cannot pass
 * controllers on (cgroup-v2.rst, "No Internal Process Constraint"): they move to a leaf.
 */
static int move_own_processes(const struct cgroup_root *root, struct err *err)
{
	_cleanup_close_ int leaf = -1;
	bool moved = true;

	if (mkdirat(root->fd[0], CGROUP_SELF, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make a cgroup for the daemon itself");
	leaf = fd_open_dir_at(root->fd[0], CGROUP_SELF);
	if (leaf < 0)
		return err_sys(err, leaf, "open the daemon's own cgroup");
	for (unsigned i = 0; i < MOVE_ROUNDS && moved; i++) {
		int r = move_listed(root->fd[0], leaf, &moved);

		if (r < 0)
			return err_sys(err, r, "move the daemon to a cgroup of its own");
	}
	return 0;
}

static int prepare_parent(struct cgroup_root *root, struct err *err)
{
	int r = enable_top(root, err);

	if (r == 0 && !root->parent[0])
		r = move_own_processes(root, err);
	if (r == 0)
		r = enable_at(root, root->fd[0], err);
	/* The parent itself is a child of the top, and so has every file but the top's own. */
	root->has_swap = cgroup_has_file(root, CGROUP_MEMORY, "", "memory.swap.max");
	root->has_cpu_quota = cgroup_has_file(root, CGROUP_CPU, "", "cpu.max");
	root->has_io_limit = cgroup_has_file(root, CGROUP_IO, "", "io.max");
	return r;
}

static int prepare_tenant(struct cgroup_root *root, const char *dir, struct err *err)
{
	_cleanup_close_ int fd = fd_open_dir_at(root->fd[0], dir);

	return fd < 0 ? err_sys(err, fd, "open the tenant's cgroup") : enable_at(root, fd, err);
}

/* payload is then made with them. The device program may be attached at any time. */
static int prepare_container(struct cgroup_root *root, const char *dir, struct err *err)
{
	_cleanup_close_ int fd = fd_open_dir_at(root->fd[0], dir);

	return fd < 0 ? err_sys(err, fd, "open the container's cgroup")
		      : enable_some_at(root, fd, N_SHOWN, err);
}

/* "$QUOTA $PERIOD", either of them "max" for none. */
static int read_quota(const struct cgroup_root *root, const char *dir, uint64_t *ret_milli)
{
	char text[64];
	ssize_t n = cgroup_read_text(root, CGROUP_CPU, dir, "cpu.max", text, sizeof(text));
	char *space = n < 0 ? NULL : strchr(text, ' ');
	uint64_t period;
	uint64_t quota;

	if (n < 0)
		return (int)n;
	if (!space)
		return -EBADMSG;
	*space = '\0';
	if (cgroup_parse_value(text, &quota) < 0 || cgroup_parse_value(space + 1, &period) < 0 ||
		!period)
		return -EBADMSG;
	*ret_milli = quota == LIMIT_UNSET ? LIMIT_UNSET : quota * 1000 / period;
	return 0;
}

/* Without swap accounting there is no file, and nothing to lift or lower: as if it were 0. */
static int read_swap(const struct cgroup_root *root, const char *dir, uint64_t *ret)
{
	if (root->has_swap)
		return cgroup_read_u64(root, CGROUP_MEMORY, dir, "memory.swap.max", ret);
	*ret = 0;
	return 0;
}

static int read_limits(
	const struct cgroup_root *root, const char *dir, unsigned which, struct limits *ret)
{
	uint64_t *value = ret->value;
	int r = 0;

	if (which & LIMIT_BIT(LIMIT_MEMORY))
		r = cgroup_read_u64(root, CGROUP_MEMORY, dir, "memory.max", &value[LIMIT_MEMORY]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_SWAP))
		r = read_swap(root, dir, &value[LIMIT_SWAP]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_PIDS))
		r = cgroup_read_u64(root, CGROUP_PIDS, dir, "pids.max", &value[LIMIT_PIDS]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_CPU) && root->has_cpu_quota)
		r = read_quota(root, dir, &value[LIMIT_CPU]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_CPU_WEIGHT))
		r = cgroup_read_u64(root, CGROUP_CPU, dir, "cpu.weight", &value[LIMIT_CPU_WEIGHT]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_CORES))
		r = cgroup_unified_read_cores(root, dir, ret->core_mask);
	if (r == 0 && which & LIMIT_BITS_IO)
		r = cgroup_unified_read_io(root, dir, ret);
	return r;
}

/* memory.reclaim fails when it got less than asked: the caller looks at what is in use then. */
static void reclaim(const struct cgroup_root *root, const char *dir, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	cgroup_write_text(root, CGROUP_MEMORY, dir, "memory.reclaim", text);
}

static int write_quota(
	const struct cgroup_root *root, const char *dir, uint64_t milli, struct err *err)
{
	char text[64];
	char back[64];
	int r;

	if (milli == LIMIT_UNSET)
		snprintf(text, sizeof(text), "max %d", PERIOD_USEC);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " %d", milli * PERIOD_USEC / 1000,
			PERIOD_USEC);
	r = cgroup_write_back(root, CGROUP_CPU, dir, "cpu.max", text, back, sizeof(back));
	if (r < 0)
		return err_sys(err, r, "write %s to cpu.max", text);
	return strcmp(back, text) != 0 ? cgroup_not_applied(LIMIT_CPU, back, err) : 0;
}

/* A container of an earlier Croft has no such file there. */
static void show_quota(const struct cgroup_root *root, const char *payload, uint64_t milli)
{
	char text[64];

	if (milli == LIMIT_UNSET)
		snprintf(text, sizeof(text), "max");
	else
		snprintf(text, sizeof(text), "%" PRIu64 " %d",
			milli * (CGROUP_VIEW_PERIOD_USEC / 1000), CGROUP_VIEW_PERIOD_USEC);
	cgroup_write_text(root, CGROUP_CPU, payload, "cpu.max", text);
}

/* The plain numbers; swap goes before memory, so that a lowered memory limit cannot spill over. */
static const struct {
	enum limit_id limit;
	enum cgroup_controller controller;
	const char *file;
} numbers[] = {
	{LIMIT_SWAP, CGROUP_MEMORY, "memory.swap.max"},
	{LIMIT_MEMORY, CGROUP_MEMORY, "memory.max"},
	{LIMIT_PIDS, CGROUP_PIDS, "pids.max"},
	{LIMIT_CPU_WEIGHT, CGROUP_CPU, "cpu.weight"},
};

/*
 * The kernel itself reclaims and then kills until a lower limit fits. It also takes one that does
 * not: what is left may still be given back (mounts go after the processes), or is there to stay.
 */
static int await_fit(const struct cgroup_root *root, const char *dir, const struct limits *now,
	const struct limits *want, struct err *err)
{
	uint64_t deadline = clock_boot_usec() + SETTLE_TIME_USEC;
	uint64_t asked = want->value[LIMIT_MEMORY];
	uint64_t use;

	if (asked >= now->value[LIMIT_MEMORY])
		return 0;
	for (;;) {
		int r = cgroup_read_u64(root, CGROUP_MEMORY, dir, "memory.current", &use);

		if (r < 0)
			return err_sys(err, r, "read the memory in use");
		if (use <= asked)
			return 0;
		if (clock_boot_usec() > deadline)
			return cgroup_not_freed(asked, use, err);
		nanosleep(&(struct timespec){.tv_nsec = SETTLE_PAUSE_NSEC}, NULL);
	}
}

static int write_limits(const struct cgroup_root *root, const char *dir, const struct limits *now,
	const struct limits *want, bool force, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++) {
		enum limit_id limit = numbers[i].limit;

		if (want->value[limit] != now->value[limit])
			r = cgroup_write_limit(root, numbers[i].controller, dir, numbers[i].file,
				want->value[limit], "max", limit, err);
		if (r == 0 && force && limit == LIMIT_MEMORY)
			r = await_fit(root, dir, now, want, err);
	}
	if (r == 0 && want->value[LIMIT_CPU] != now->value[LIMIT_CPU])
		r = write_quota(root, dir, want->value[LIMIT_CPU], err);
	cgroup_view_show_quota(root, dir);
	if (r == 0 && memcmp(want->core_mask, now->core_mask, sizeof(now->core_mask)) != 0)
		r = cgroup_unified_write_cores(root, dir, want->core_mask, err);
	return r == 0 ? cgroup_unified_write_io(root, dir, want, err) : r;
}

static int write_oom_group(
	const struct cgroup_root *root, const char *dir, bool on, struct err *err)
{
	int r = cgroup_write_text(root, CGROUP_MEMORY, dir, "memory.oom.group", on ? "1" : "0");

	return r < 0 ? err_sys(err, r, "write memory.oom.group") : 0;
}

static int set_devices(struct cgroup_root *root, const char *dir, struct err *err)
{
	return cgroup_device_attach_v2(root, dir, err);
}

static int pass_controllers(const struct cgroup_root *root, const char *dir, struct err *err)
{
	_cleanup_close_ int fd = fd_open_dir_at(root->fd[0], dir);

	return fd < 0 ? err_sys(err, fd, "open the container's cgroup")
		      : enable_some_at(root, fd, N_NESTING, err);
}

static int open_join(const struct cgroup_root *root, const char *leaf, struct cgroup_join *join)
{
	join->into_fd = fd_open_dir_at(root->fd[0], leaf);
	return join->into_fd < 0 ? join->into_fd : 0;
}

static int open_watch(const struct cgroup_root *root, const char *dir, struct cgroup_watch *watch)
{
	int r = cgroup_watch_file(watch, root, CGROUP_MEMORY, dir, "memory.events");

	return r < 0 ? r : cgroup_watch_file(watch, root, CGROUP_PIDS, dir, "pids.events");
}

const struct cgroup_ops cgroup_unified_ops = {
	.kind = CGROUP_UNIFIED,
	.memory_use_file = "memory.current",
	.effective_cpus_file = "cpuset.cpus.effective",
	.prepare_parent = prepare_parent,
	.prepare_tenant = prepare_tenant,
	.prepare_container = prepare_container,
	.read_limits = read_limits,
	.reclaim = reclaim,
	.write_limits = write_limits,
	.write_io = cgroup_unified_write_io,
	.show_quota = show_quota,
	.write_oom_group = write_oom_group,
	.set_devices = set_devices,
	.pass_controllers = pass_controllers,
	.open_join = open_join,
	.open_watch = open_watch,
};
