/*
 * A container's own view of its cgroups, mounted by the container-building process in the outer
 * user namespace. On v1 only hierarchies in which the container has a directory are shown: of any
 * other, "its" part would be the host's whole tree.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define FLAGS	     (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define OWN_TEXT_MAX 8192
#define LIST_SIZE    128
#define PATH_SIZE    (4096 + LIST_SIZE)

static bool is_used(const char *list)
{
	for (int c = CGROUP_CORE + 1; c < CGROUP_CONTROLLER_N; c++)
		/* Nothing in a container asks for blkio, and each one shown is a mount more. */
		if (c != CGROUP_IO && cgroup_list_has(list, ',',
					      cgroup_controller_name((enum cgroup_controller)c)))
			return true;
	return false;
}

/* "cpu,cpuacct" is mounted under that name, as hosts do, with a link for each of its parts. */
static int link_parts(const char *target, const char *list, struct err *err)
{
	char parts[LIST_SIZE];
	char *save = NULL;

	if (!strchr(list, ','))
		return 0;
	snprintf(parts, sizeof(parts), "%s", list);
	for (char *part = strtok_r(parts, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		char path[PATH_SIZE];

		if (strchr(part, '='))
			continue;
		snprintf(path, sizeof(path), "%s/%s", target, part);
		if (symlink(list, path) < 0)
			return err_sys(err, errno, "link the cgroup controller %s", part);
	}
	return 0;
}

/* Read-only in the superblock, which is this cgroup namespace's own, and not just in the mount. */
static int mount_v1(const char *target, const char *list, struct err *err)
{
	bool is_systemd = !strcmp(list, "name=systemd");
	const char *name = is_systemd ? strchr(list, '=') + 1 : list;
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s", target, name);
	if (mkdir(path, 0755) < 0 ||
		mount("cgroup", path, "cgroup", FLAGS | (is_systemd ? 0 : MS_RDONLY),
			is_systemd ? "none,name=systemd" : list) < 0)
		return err_sys(err, errno, "mount the cgroup hierarchy %s", name);
	return link_parts(target, list, err);
}

/* Lines of /proc/self/cgroup: "4:cpu,cpuacct:/path", and "0::/path" of the cgroup2 tree. */
static int mount_all_v1(const char *target, char *text, struct err *err)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':');
		char *end = list ? strchr(++list, ':') : NULL;
		int r;

		if (!end || end - list >= LIST_SIZE)
			continue;
		*end = '\0';
		if (!is_used(list))
			continue;
		r = mount_v1(target, list, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Where systemd looks for it beside v1. Only cgroup2 tells that a cgroup has become empty (v1
 * starts a program of the host): without it systemd waits for a logged-in user's processes until it
 * times out, for minutes, at each shutdown.
 */
static int mount_core(const char *target, struct err *err)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/unified", target);
	if (mkdir(path, 0755) < 0 || mount("cgroup2", path, "cgroup2", FLAGS, NULL) < 0)
		return err_sys(err, errno, "mount the cgroup2 tree beside v1");
	return 0;
}

static int mount_hybrid(const char *target, struct err *err)
{
	char text[OWN_TEXT_MAX];
	ssize_t n = fd_read_text_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));
	int r;

	if (n < 0)
		return err_sys(err, (int)n, "read the container's own cgroups");
	if (mount("tmpfs", target, "tmpfs", FLAGS, "mode=755,size=64k,nr_inodes=64") < 0)
		return err_sys(err, errno, "mount a tmpfs for the cgroup hierarchies");
	r = mount_all_v1(target, text, err);
	if (r == 0)
		r = mount_core(target, err);
	if (r < 0)
		return r;
	if (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | FLAGS, NULL) < 0)
		return err_sys(err, errno, "make the cgroup hierarchies' tmpfs read-only");
	return 0;
}

int cgroup_mount_inside(enum cgroup_kind kind, const char *target, struct err *err)
{
	if (strlen(target) + LIST_SIZE >= PATH_SIZE)
		return err_sys(err, ENAMETOOLONG, "mount the cgroups");
	if (kind == CGROUP_HYBRID)
		return mount_hybrid(target, err);
	if (mount("cgroup2", target, "cgroup2", FLAGS, NULL) < 0)
		return err_sys(err, errno, "mount the cgroup2 tree");
	return 0;
}
