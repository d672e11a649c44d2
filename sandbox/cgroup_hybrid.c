/*
 * The driver for cgroup v1 controllers beside a cgroup2 tree. The cgroup2 tree serves to freeze,
 * kill and wait; a controller that it may list is left alone. Must never give a container anything
 * of v1 but its payload of name=systemd, since v1 cannot bound what is made below a writable
 * directory.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

/*
 * Below a hierarchy of the host's systemd, an emptied cgroup would start a program on the host, as
 * root and on nobody's bill.
 */
static int forbid_release_agent(const struct cgroup_root *root, struct err *err)
{
	for (size_t i = 1; i < root->n_hierarchies; i++) {
		int r = fd_write_text_at(root->fd[i], "notify_on_release", "0");

		if (r < 0)
			return err_sys(err, r, "set notify_on_release");
	}
	return 0;
}

static int prepare_parent(struct cgroup_root *root, struct err *err)
{
	uint64_t hierarchical;
	int r = cgroup_read_u64(root, CGROUP_MEMORY, "", "memory.use_hierarchy", &hierarchical);

	if (r == 0 && !hierarchical)
		r = cgroup_write_text(root, CGROUP_MEMORY, "", "memory.use_hierarchy", "1");
	if (r < 0)
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "CGROUP_UNSUPPORTED", "memory",
			"this host's memory cgroups are not hierarchical "
			"(memory.use_hierarchy), so a tenant's limit would not hold");
	/* What is made below takes this over: no swap unless asked for. */
	r = cgroup_write_text(root, CGROUP_MEMORY, "", "memory.swappiness", "0");
	if (r < 0)
		return err_sys(err, r, "set memory.swappiness");
	root->has_swap = cgroup_has_file(root, CGROUP_MEMORY, "", "memory.memsw.limit_in_bytes");
	root->has_cpu_quota = cgroup_has_file(root, CGROUP_CPU, "", "cpu.cfs_quota_us");
	root->has_io_limit = cgroup_has_file(root, CGROUP_IO, "", "blkio.throttle.read_bps_device");
	r = forbid_release_agent(root, err);
	return r < 0 ? r : cgroup_hybrid_prepare_cpuset(root, err);
}

static int prepare_tenant(struct cgroup_root *root, const char *dir, struct err *err)
{
	(void)root;
	(void)dir;
	(void)err;
	return 0; /* every v1 directory has its controller */
}

/* Here and not later: the kernel takes "a" only of a directory that has no child yet. */
static int prepare_container(struct cgroup_root *root, const char *dir, struct err *err)
{
	return cgroup_device_write_v1(root, dir, err);
}

static int set_devices(struct cgroup_root *root, const char *dir, struct err *err)
{
	return cgroup_device_write_v1(root, dir, err);
}

/* v1 has none: the supervisor kills the container when its watch tells of an OOM kill. */
static int write_oom_group(
	const struct cgroup_root *root, const char *dir, bool on, struct err *err)
{
	(void)root;
	(void)dir;
	(void)on;
	(void)err;
	return 0;
}

static int delegate(
	const struct cgroup_root *root, const char *dir, uid_t uid, gid_t gid, struct err *err)
{
	static const char *const files[] = {"", "/tasks", "/cgroup.procs", NULL};

	if (root->hierarchy[CGROUP_SYSTEMD] < 0)
		return 0;
	return cgroup_give_payload(
		cgroup_hierarchy_fd(root, CGROUP_SYSTEMD), dir, files, uid, gid, err);
}

static int open_join(const struct cgroup_root *root, const char *leaf, struct cgroup_join *join)
{
	/* Into the cgroup2 tree a process is born: moving it there later waits for RCU. */
	join->into_fd = fd_open_dir_at(root->fd[0], leaf);
	if (join->into_fd < 0)
		return join->into_fd;
	for (size_t i = 1; i < root->n_hierarchies; i++) {
		char path[CGROUP_FILE_SIZE];
		int fd;

		snprintf(path, sizeof(path), "%s/tasks", leaf);
		fd = openat(root->fd[i], path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return -errno;
		join->task_fds[join->n_task_fds++] = fd;
	}
	return 0;
}

/* cgroup-v1/memory.rst, "OOM Control": "<eventfd> <fd of memory.oom_control>". */
static int open_oom_event(const struct cgroup_root *root, const char *dir)
{
	_cleanup_close_ int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_cleanup_close_ int oom = cgroup_open_file(
		root, CGROUP_MEMORY, dir, "memory.oom_control", O_RDONLY);
	char text[32];
	int r;

	if (event < 0)
		return -errno;
	if (oom < 0)
		return oom;
	snprintf(text, sizeof(text), "%d %d", event, oom);
	r = cgroup_write_text(root, CGROUP_MEMORY, dir, "cgroup.event_control", text);
	return r < 0 ? r : take_fd(&event);
}

static int open_watch(const struct cgroup_root *root, const char *dir, struct cgroup_watch *watch)
{
	/* A refused fork is counted, and told, only in the cgroup that forked. */
	int r = cgroup_watch_file(watch, root, CGROUP_PIDS, dir, CGROUP_PAYLOAD "/pids.events");

	if (r == -ENOENT)
		r = cgroup_watch_file(watch, root, CGROUP_PIDS, dir, "pids.events");
	if (r < 0)
		return r;
	r = open_oom_event(root, dir);
	if (r < 0)
		return r;
	watch->oom_fd = r;
	return 0;
}

const struct cgroup_ops cgroup_hybrid_ops = {
	.kind = CGROUP_HYBRID,
	.memory_use_file = "memory.usage_in_bytes",
	.effective_cpus_file = "cpuset.effective_cpus",
	.prepare_parent = prepare_parent,
	.prepare_tenant = prepare_tenant,
	.prepare_container = prepare_container,
	.swap_needs_memory = true,
	.refuse_io = cgroup_hybrid_refuse_io,
	.read_limits = cgroup_hybrid_read_limits,
	.reclaim = NULL,
	.write_limits = cgroup_hybrid_write_limits,
	.write_io = cgroup_hybrid_write_io,
	.count_io = cgroup_hybrid_count_io,
	.show_quota = cgroup_hybrid_show_quota,
	.write_oom_group = write_oom_group,
	.set_devices = set_devices,
	.delegate = delegate,
	.open_join = open_join,
	.open_watch = open_watch,
};
