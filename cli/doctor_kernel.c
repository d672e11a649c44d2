/*
 * What the kernel can do, probed and not told from its version; see doctor.h. A probe is a call
 * that cannot succeed, and whose error tells a kernel that knows it from one that does not.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TEXT_SIZE 4096

/* "cpu" in "cpuset cpu io", as a word of its own. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += len)
		if ((p == text || strchr(" \t\n", p[-1])) && (!p[len] || strchr(" \t\n", p[len])))
			return true;
	return false;
}

/* Appends the words of `wanted` that text lacks. */
static void missing_words(const char *text, const char *const *wanted, char *out, size_t size)
{
	*out = '\0';
	for (; *wanted; wanted++) {
		size_t len = strlen(out);

		if (!has_word(text, *wanted))
			snprintf(out + len, size - len, "%s%s", len ? ", " : "", *wanted);
	}
}

static bool exists(const struct doctor *d, const char *path)
{
	return faccessat(d->root_fd, path, F_OK, 0) == 0;
}

/* The controllers that are hierarchies of cgroup v1, as far as they are mounted in their places. */
static void mounted_v1(const struct doctor *d, const char *const *names, char *out, size_t size)
{
	*out = '\0';
	for (; *names; names++) {
		size_t len = strlen(out);
		char path[64];

		snprintf(path, sizeof(path), "sys/fs/cgroup/%s/tasks", *names);
		if (exists(d, path))
			snprintf(out + len, size - len, "%s%s", len ? " " : "", *names);
	}
}

static void check_cgroups(const struct doctor *d)
{
	static const char *const needed[] = {"cpu", "memory", "pids", NULL};
	static const char *const useful[] = {"cpuset", NULL};
	char text[TEXT_SIZE];
	char lacking[128];
	bool unified = fd_read_text_at(d->root_fd, "sys/fs/cgroup/cgroup.controllers", text,
			       sizeof(text)) >= 0;
	const char *mode = unified ? "unified (v2)" : "hybrid (v1)";
	static const char *const all[] = {"cpu", "memory", "pids", "cpuset", NULL};

	if (!unified)
		mounted_v1(d, all, text, sizeof(text));
	missing_words(text, needed, lacking, sizeof(lacking));
	if (*lacking) {
		doctor_report(d, DOCTOR_FAIL, "cgroups",
			"boot with these controllers on, and with /sys/fs/cgroup mounted",
			"%s, without %s", mode, lacking);
		return;
	}
	missing_words(text, useful, lacking, sizeof(lacking));
	doctor_report(d, *lacking ? DOCTOR_WARN : DOCTOR_OK, "cgroups",
		"boot with this controller on, or --cores is refused", "%s%s%s", mode,
		*lacking ? ", without " : "", lacking);
	if (!unified && !exists(d, "sys/fs/cgroup/unified/cgroup.procs"))
		doctor_report(d, DOCTOR_WARN, "cgroup2 beside v1",
			"mount -t cgroup2 none /sys/fs/cgroup/unified: ends and freezes are surer",
			"not mounted");
}

/* System calls that take nothing of what they are given here. */
static void check_calls(const struct doctor *d)
{
	const struct {
		const char *name;
		long error;
	} calls[] = {
		{"clone3", syscall(SYS_clone3, NULL, 0) < 0 ? errno : 0},
		{"pidfd_open", syscall(SYS_pidfd_open, -1, 0) < 0 ? errno : 0},
		{"openat2", syscall(SYS_openat2, -1, "", NULL, 0) < 0 ? errno : 0},
		/* Idmapped mounts. */
		{"open_tree", syscall(SYS_open_tree, -1, "", 0) < 0 ? errno : 0},
		{"mount_setattr", syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) < 0 ? errno : 0},
	};
	char lacking[128] = "";

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		size_t len = strlen(lacking);

		if (calls[i].error == ENOSYS)
			snprintf(lacking + len, sizeof(lacking) - len, "%s%s", len ? ", " : "",
				calls[i].name);
	}
	if (*lacking)
		doctor_report(d, DOCTOR_FAIL, "system calls",
			"boot Linux 6.1 or newer, and not in a sandbox that hides them",
			"without %s", lacking);
	else
		doctor_report(d, DOCTOR_OK, "system calls", NULL,
			"clone3, pidfds, openat2, idmapped mounts");
}

/* Built in, loaded, or a module that can be. */
static bool has_module(const struct doctor *d, const char *name)
{
	static const char *const lists[] = {"modules.dep", "modules.builtin"};
	struct utsname u;
	char file[64];

	uname(&u);
	snprintf(file, sizeof(file), "/%s.ko", name);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		_cleanup_free_ char *line = NULL;
		_cleanup_fclose_ FILE *f = NULL;
		size_t size = 0;
		char path[160];
		int fd;

		snprintf(path, sizeof(path), "lib/modules/%s/%s", u.release, lists[i]);
		fd = openat(d->root_fd, path, O_RDONLY | O_CLOEXEC);
		f = fd < 0 ? NULL : fdopen(fd, "r");
		while (f && getline(&line, &size, f) > 0)
			if (strstr(line, file))
				return true;
	}
	return false;
}

static bool has_file_system(const struct doctor *d, const char *name)
{
	char text[TEXT_SIZE];

	return (fd_read_text_at(d->root_fd, "proc/filesystems", text, sizeof(text)) >= 0 &&
		       has_word(text, name)) ||
	       has_module(d, name);
}

static void check_file_systems(const struct doctor *d)
{
	bool btrfs = has_file_system(d, "btrfs");
	bool mkfs = exists(d, "usr/sbin/mkfs.btrfs") || exists(d, "sbin/mkfs.btrfs") ||
		    exists(d, "usr/bin/mkfs.btrfs");

	if (has_file_system(d, "overlay"))
		doctor_report(d, DOCTOR_OK, "overlay", NULL, "there");
	else
		doctor_report(d, DOCTOR_FAIL, "overlay", "boot a kernel with overlayfs",
			"this kernel has none");
	if (btrfs && mkfs && exists(d, "dev/loop-control"))
		doctor_report(d, DOCTOR_OK, "disk quotas", NULL, "btrfs on a loop device");
	else
		doctor_report(d, DOCTOR_WARN, "disk quotas",
			"without it disk limits hold only on an XFS or ext4 with project quotas",
			"no %s",
			!btrfs	? "btrfs in this kernel"
			: !mkfs ? "mkfs.btrfs (install btrfs-progs)"
				: "/dev/loop-control (modprobe loop)");
}

static void check_namespaces(const struct doctor *d)
{
	uint64_t n = 0;

	if (!exists(d, "proc/self/ns/user"))
		doctor_report(d, DOCTOR_FAIL, "user namespaces", "boot a kernel that has them",
			"this kernel has none");
	else if (fd_read_u64_at(d->root_fd, "proc/sys/user/max_user_namespaces", &n) == 0 && n < 2)
		doctor_report(d, DOCTOR_FAIL, "user namespaces",
			"sysctl -w user.max_user_namespaces=65536: a container takes two",
			"at most %u", (unsigned)n);
	else
		doctor_report(d, DOCTOR_OK, "user namespaces", NULL, "there");
}

/*
 * Asks a subsystem of netfilter for what changes nothing. 0, or the error of a kernel that has no
 * such subsystem, nor a module of it; -EPERM is said before that is looked at.
 */
static int probe_netfilter(uint16_t message)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct {
		struct nlmsghdr header;
		struct nfgenmsg body;
	} request = {
		{sizeof(request), message, NLM_F_REQUEST, 1, 0},
		{AF_UNSPEC, NFNETLINK_V0, 0},
	};
	const struct timeval patience = {.tv_sec = 5};
	union {
		struct nlmsghdr header;
		char bytes[1024];
	} reply;
	ssize_t n;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	n = recv(fd, &reply, sizeof(reply), 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
		(n < (ssize_t)sizeof(reply.header) || reply.header.nlmsg_type == NLMSG_ERROR))
		return n < 0 ? -errno : -EPROTO;
	if (reply.header.nlmsg_type != NLMSG_ERROR)
		return 0;
	return ((const struct nlmsgerr *)NLMSG_DATA(&reply.header))->error;
}

static void check_netfilter(const struct doctor *d)
{
	/* The generation of the tables, and how many connections are tracked. */
	static const struct {
		const char *name;
		uint16_t message;
		const char *advice;
		const char *without;
	} parts[] = {
		{"nftables", NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			"boot a kernel with nf_tables, or start croftd without address pools",
			"containers can have no network"},
		{"ctnetlink", NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS,
			"boot a kernel with nf_conntrack_netlink (CONFIG_NF_CT_NETLINK)",
			"forwards cannot be deleted, as nothing can end their connections"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int r = probe_netfilter(parts[i].message);

		if (r == -EPERM)
			doctor_report(d, DOCTOR_WARN, parts[i].name, "run croft doctor as root",
				"only root can tell");
		else if (r < 0)
			doctor_report(d, DOCTOR_WARN, parts[i].name, parts[i].advice,
				"not there: %s", parts[i].without);
		else
			doctor_report(d, DOCTOR_OK, parts[i].name, NULL, "there");
	}
}

/* Containers start without it: then they see the host's figures. */
static void check_views(const struct doctor *d)
{
	bool fuse = exists(d, "dev/fuse");

	if (fuse && exists(d, "usr/bin/lxcfs"))
		doctor_report(d, DOCTOR_OK, "lxcfs", NULL, "there");
	else
		doctor_report(d, DOCTOR_WARN, "lxcfs",
			fuse ? "install the package lxcfs"
			     : "modprobe fuse, and install the package lxcfs",
			"not there: /proc/meminfo in containers shows the host's figures");
}

void doctor_kernel(const struct doctor *d)
{
	check_cgroups(d);
	check_calls(d);
	check_namespaces(d);
	check_file_systems(d);
	check_netfilter(d);
	check_views(d);
}
