/* The namespace table; see namespaces.h. A row's owner is the boundary: change it with care. */
#include "sandbox/namespaces.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/idrange.h"

#include <fcntl.h>
#include <sched.h>

static const struct {
	const char *name;
	int flag;
	enum ns_step step;
} rows[] = {
	{"outer user", CLONE_NEWUSER, NS_OUTER_CLONE},
	{"mounts as built", CLONE_NEWNS, NS_OUTER_CLONE},
	{"cgroup", CLONE_NEWCGROUP, NS_OUTER_JOINED},
	{"inner user", CLONE_NEWUSER, NS_INNER_CLONE},
	{"pid", CLONE_NEWPID, NS_INNER_CLONE},
	{"net", CLONE_NEWNET, NS_INNER_CLONE},
	{"uts", CLONE_NEWUTS, NS_INNER_CLONE},
	{"ipc", CLONE_NEWIPC, NS_INNER_CLONE},
	{"mounts, locked", CLONE_NEWNS, NS_INNER_LAST},
};

/*
 * user.max_*: one user namespace is the inner one itself. The others leave room for what systemd
 * makes for its units, and bound what a hostile tenant can take of kernel memory. With nesting:
 * what some dozens of containers inside need.
 */
static const struct {
	const char *name;
	uint64_t value;
	uint64_t nesting;
} namespace_limits[] = {
	{"max_user_namespaces", 1, 64},
	{"max_pid_namespaces", 64, 64},
	{"max_net_namespaces", 64, 64},
	{"max_uts_namespaces", 128, 128},
	{"max_ipc_namespaces", 128, 128},
	{"max_mnt_namespaces", 512, 512},
	{"max_cgroup_namespaces", 64, 64},
	{"max_time_namespaces", 16, 16},
	{"max_inotify_instances", 512, 512},
	{"max_inotify_watches", 65536, 65536},
	{"max_fanotify_groups", 128, 128},
	{"max_fanotify_marks", 65536, 65536},
};

uint64_t namespaces_flags(enum ns_step step)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].step == step)
			flags |= (uint64_t)rows[i].flag;
	return flags;
}

int namespaces_join_flags(void)
{
	int flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		flags |= rows[i].flag;
	return flags;
}

static int write_map(pid_t pid, const char *file, uid_t inside, uid_t outside, struct err *err)
{
	char path[48];
	char line[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	snprintf(line, sizeof(line), "%u %u %u", inside, outside, IDRANGE_SIZE);
	r = fd_write_text_at(AT_FDCWD, path, line);
	return r < 0 ? err_sys(err, r, "write %s", file) : 0;
}

int namespaces_write_maps(pid_t pid, uid_t inside, uid_t outside, struct err *err)
{
	int r = write_map(pid, "uid_map", inside, outside, err);

	return r < 0 ? r : write_map(pid, "gid_map", inside, outside, err);
}

int namespaces_set_limits(bool nesting, struct err *err)
{
	_cleanup_close_ int dir = fd_open_dir_at(AT_FDCWD, "/proc/sys/user");

	if (dir < 0)
		return err_sys(err, dir, "open the namespace limits");
	for (size_t i = 0; i < ARRAY_SIZE(namespace_limits); i++) {
		uint64_t value = nesting ? namespace_limits[i].nesting : namespace_limits[i].value;
		int r = fd_write_u64_at(dir, namespace_limits[i].name, value);

		/* A kernel built without fanotify has no such file, and nothing to bound. */
		if (r < 0 && r != -ENOENT)
			return err_sys(err, r, "set %s", namespace_limits[i].name);
	}
	return 0;
}
