/*
 * /dev, /proc and /sys of a container; see mounts.h. Everything is addressed by descriptor, below
 * the root's own: no name of the image is followed. Must run before tenant code does.
 */
#include "sandbox/mounts.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/syscalls.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define NODE_MODE 0666

/* Major and minor as of Documentation/admin-guide/devices.txt. */
static const struct {
	const char *name;
	unsigned major;
	unsigned minor;
} nodes[] = {
	{"null", 1, 3},
	{"zero", 1, 5},
	{"full", 1, 7},
	{"random", 1, 8},
	{"urandom", 1, 9},
	{"tty", 5, 0},
};

static const struct {
	const char *name;
	const char *target;
} dev_links[] = {
	{"ptmx", "pts/ptmx"},
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
};

enum mask_kind {
	MASK_FILE,
	MASK_FILE_UNLESS_NESTING, /* with nesting it is left alone */
	MASK_DIR,
	MASK_READ_ONLY,
	MASK_READ_ONLY_UNLESS_NESTING,
};

/*
 * Files that tell about the host or drive it. A masked file reads as empty, a masked directory is
 * empty, the rest can be read and not written. What a kernel does not have is skipped. /proc/sys
 * has what engines set for their containers' networks; the host's own settings are root's, which
 * nobody in a container is. The controllers that payload has on v2 are not for init to pass on: a
 * systemd that saw them would try to, and complain, at each start of a service.
 */
static const struct {
	const char *path;
	enum mask_kind kind;
} masks[] = {
	{"proc/kcore", MASK_FILE},
	{"proc/kmsg", MASK_FILE},
	{"proc/keys", MASK_FILE},
	{"proc/key-users", MASK_FILE},
	{"proc/kallsyms", MASK_FILE},
	{"proc/kpagecount", MASK_FILE},
	{"proc/kpageflags", MASK_FILE},
	{"proc/kpagecgroup", MASK_FILE},
	{"proc/timer_list", MASK_FILE},
	{"proc/sched_debug", MASK_FILE},
	{"proc/latency_stats", MASK_FILE},
	{"proc/interrupts", MASK_FILE},
	{"proc/softirqs", MASK_FILE},
	{"proc/slabinfo", MASK_FILE},
	{"proc/vmallocinfo", MASK_FILE},
	{"proc/config.gz", MASK_FILE},
	{"proc/acpi", MASK_DIR},
	{"proc/asound", MASK_DIR},
	{"proc/scsi", MASK_DIR},
	{"proc/driver", MASK_DIR},
	{"proc/bus", MASK_READ_ONLY},
	{"proc/fs", MASK_READ_ONLY},
	{"proc/irq", MASK_READ_ONLY},
	{"proc/sysrq-trigger", MASK_READ_ONLY},
	{"proc/mtrr", MASK_READ_ONLY},
	{"proc/sys", MASK_READ_ONLY_UNLESS_NESTING},
	{"sys/firmware", MASK_DIR},
	{"sys/kernel/debug", MASK_DIR},
	{"sys/kernel/tracing", MASK_DIR},
	{"sys/kernel/security", MASK_DIR},
	{"sys/devices/virtual/powercap", MASK_DIR},
	{"sys/devices/virtual/dmi", MASK_DIR},
	{"sys/fs/selinux", MASK_DIR},
	{"sys/fs/cgroup/cgroup.controllers", MASK_FILE_UNLESS_NESTING},
};

struct mount_option {
	const char *name;
	const char *value; /* NULL: a flag */
};

/* Makes a file system and returns it as a detached mount, or -errno. */
static int make_fs(const char *type, const struct mount_option *options, unsigned attributes)
{
	_cleanup_close_ int fs_fd = fsopen(type, FSOPEN_CLOEXEC);
	int mount_fd;

	if (fs_fd < 0)
		return -errno;
	for (; options && options->name; options++) {
		unsigned command = options->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(fs_fd, command, options->name, options->value, 0) < 0)
			return -errno;
	}
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, attributes);
	return mount_fd < 0 ? -errno : mount_fd;
}

static int attach(int mount_fd, int target_fd)
{
	if (move_mount(mount_fd, "", target_fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

int mounts_open_target(int root_fd, const char *name, int *ret_fd, struct err *err)
{
	int fd;

	if (mkdirat(root_fd, name, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make /%s", name);
	fd = sys_openat2(root_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	if (fd < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_INVALID",
			"/%s is not a plain directory in this container: remove what is there",
			name);
	*ret_fd = fd;
	return 0;
}

static int mount_on(int mount_fd, int root_fd, const char *name, struct err *err)
{
	_cleanup_close_ int target = -1;
	int r;

	if (mount_fd < 0)
		return err_sys(err, mount_fd, "make the file system for /%s", name);
	r = mounts_open_target(root_fd, name, &target, err);
	if (r < 0)
		return r;
	r = attach(mount_fd, target);
	return r < 0 ? err_sys(err, r, "mount /%s", name) : 0;
}

/* The place in /etc to mount on. Returns the descriptor, or -errno: there can be none. */
static int open_etc_target(int root_fd, const char *name)
{
	_cleanup_close_ int etc = sys_openat2(root_fd, "etc",
		O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	_cleanup_close_ int made = -1;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (etc < 0)
		return etc;
	made = openat(etc, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (made < 0 && errno != EEXIST)
		return -errno;
	fd = openat(etc, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? -EISDIR : take_fd(&fd);
}

int mounts_cover_etc(int root_fd, const char *name, int mount_fd, struct err *err)
{
	_cleanup_close_ int target = mount_fd < 0 ? -1 : open_etc_target(root_fd, name);
	int r;

	/* Nor does a full disk keep a container from starting. */
	if (target < 0)
		return 0;
	r = attach(mount_fd, target);
	return r < 0 ? err_sys(err, r, "mount /etc/%s", name) : 0;
}

/* Binds an open file onto a new empty file `name` in the directory. */
static int bind_file(int source_fd, int dir_fd, const char *name)
{
	_cleanup_close_ int mount_fd = open_tree(
		source_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	_cleanup_close_ int target = -1;

	if (mount_fd < 0)
		return -errno;
	target = openat(
		dir_fd, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, NODE_MODE);
	return target < 0 ? -errno : attach(mount_fd, target);
}

/* The host's node is looked at through the descriptor that is bound: it is what it is named. */
static int bind_node(int dev_fd, size_t i, struct err *err)
{
	char path[32];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "/dev/%s", nodes[i].name);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open the host's device node %s", nodes[i].name);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(nodes[i].major, nodes[i].minor))
		return err_set(err, ERR_INTERNAL, "HOST_DEVICE",
			"the host's device node %s is not the device of that name", nodes[i].name);
	r = bind_file(fd, dev_fd, nodes[i].name);
	return r < 0 ? err_sys(err, r, "bind the device node %s", nodes[i].name) : 0;
}

static int make_pts(int dev_fd, struct err *err)
{
	static const struct mount_option options[] = {
		{"newinstance", NULL},
		{"ptmxmode", "0666"},
		{"mode", "0620"},
		{"gid", "5"}, /* group tty, on every distribution */
		{"max", "1024"},
		{NULL, NULL},
	};
	_cleanup_close_ int fd = make_fs("devpts", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);

	return mount_on(fd, dev_fd, "pts", err);
}

static int make_shm(int dev_fd, struct err *err)
{
	static const struct mount_option options[] = {{"mode", "1777"}, {NULL, NULL}};
	_cleanup_close_ int fd = make_fs("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);

	return mount_on(fd, dev_fd, "shm", err);
}

/*
 * The console is the first pty of the container's own devpts. Its slave is taken from the master
 * (TIOCGPTPEER), not by name.
 */
static int make_console(int dev_fd, int *ret_master, struct err *err)
{
	_cleanup_close_ int master = openat(dev_fd, "pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	_cleanup_close_ int slave = -1;
	int unlock = 0;
	int r;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(err, errno, "open a console");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(err, errno, "open the console's terminal");
	r = bind_file(slave, dev_fd, "console");
	if (r < 0)
		return err_sys(err, r, "bind the console");
	*ret_master = take_fd(&master);
	return 0;
}

static int fill_dev(int dev_fd, int *ret_console_fd, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(nodes) && r == 0; i++)
		r = bind_node(dev_fd, i, err);
	for (size_t i = 0; i < ARRAY_SIZE(dev_links) && r == 0; i++)
		if (symlinkat(dev_links[i].target, dev_fd, dev_links[i].name) < 0)
			r = err_sys(err, errno, "link /dev/%s", dev_links[i].name);
	if (r == 0)
		r = make_pts(dev_fd, err);
	if (r == 0)
		r = make_shm(dev_fd, err);
	if (r == 0)
		r = make_console(dev_fd, ret_console_fd, err);
	return r;
}

int mounts_make_dev(int root_fd, int *ret_console_fd, struct err *err)
{
	static const struct mount_option options[] = {
		{"mode", "0755"},
		{"size", "1m"},
		{"nr_inodes", "4096"},
		{NULL, NULL},
	};
	_cleanup_close_ int fd = make_fs(
		"tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	mode_t old = umask(0);
	int r = mount_on(fd, root_fd, "dev", err);

	if (r == 0)
		r = fill_dev(fd, ret_console_fd, err);
	umask(old);
	return r;
}

int mounts_make_small_fs(void)
{
	static const struct mount_option options[] = {
		{"mode", "0700"},
		{"size", "256k"},
		{"nr_inodes", "16"},
		{NULL, NULL},
	};

	return make_fs("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* An empty, read-only directory to put over what must not be seen. */
static int make_empty_dir(void)
{
	static const struct mount_option options[] = {
		{"mode", "0555"},
		{"nr_inodes", "1"},
		{NULL, NULL},
	};

	return make_fs("tmpfs", options,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* A read-only mount of the same thing, to put over itself or over something else. */
static int clone_read_only(int source_fd)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	_cleanup_close_ int fd = open_tree(
		source_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (fd < 0)
		return -errno;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int make_cover(enum mask_kind kind, int target_fd, int null_fd)
{
	switch (kind) {
	case MASK_FILE:
	case MASK_FILE_UNLESS_NESTING:
		return clone_read_only(null_fd);
	case MASK_DIR:
		return make_empty_dir();
	case MASK_READ_ONLY:
	case MASK_READ_ONLY_UNLESS_NESTING:
		return clone_read_only(target_fd);
	}
	return -EINVAL;
}

static int cover(int root_fd, size_t i, int null_fd, struct err *err)
{
	_cleanup_close_ int target = sys_openat2(root_fd, masks[i].path,
		O_PATH | O_NOFOLLOW | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	_cleanup_close_ int mount_fd = -1;
	int r;

	if (target == -ENOENT)
		return 0;
	if (target < 0)
		return err_sys(err, target, "open /%s", masks[i].path);
	mount_fd = make_cover(masks[i].kind, target, null_fd);
	if (mount_fd < 0)
		return err_sys(err, mount_fd, "make the cover of /%s", masks[i].path);
	r = attach(mount_fd, target);
	return r < 0 ? err_sys(err, r, "cover /%s", masks[i].path) : 0;
}

static int cover_all(int root_fd, bool nesting, struct err *err)
{
	_cleanup_close_ int null_fd = openat(root_fd, "dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r = 0;

	if (null_fd < 0)
		return err_sys(err, errno, "open /dev/null");
	for (size_t i = 0; i < ARRAY_SIZE(masks) && r == 0; i++)
		if (!nesting || (masks[i].kind != MASK_READ_ONLY_UNLESS_NESTING &&
					masks[i].kind != MASK_FILE_UNLESS_NESTING))
			r = cover(root_fd, i, null_fd, err);
	return r;
}

/* The queue file system belongs to the ipc namespace that its maker is in. */
static int make_mqueue(int root_fd, struct err *err)
{
	_cleanup_close_ int dev_fd = openat(root_fd, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = make_fs(
		"mqueue", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	if (dev_fd < 0)
		return err_sys(err, errno, "open /dev");
	if (fd == -ENODEV)
		return 0; /* a kernel without POSIX message queues */
	return mount_on(fd, dev_fd, "mqueue", err);
}

/*
 * A procfs or sysfs can be mounted anew only where one is mounted that nothing covers
 * (fs/namespace.c, mount_too_revealing()). These are for nobody to look into: only root of the
 * container enters the directory.
 */
static int make_visible(int root_fd, struct err *err)
{
	const unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	_cleanup_close_ int proc_fd = make_fs("proc", NULL, attributes);
	/* Writable, as a read-only one would allow read-only ones alone. */
	_cleanup_close_ int sys_fd = make_fs("sysfs", NULL, attributes);
	_cleanup_close_ int dir_fd = -1;
	int r;

	if (mkdirat(root_fd, "dev/.croft", 0700) < 0)
		return err_sys(err, errno, "make /dev/.croft");
	dir_fd = openat(root_fd, "dev/.croft", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, errno, "open /dev/.croft");
	r = mount_on(proc_fd, dir_fd, "proc", err);
	return r < 0 ? r : mount_on(sys_fd, dir_fd, "sys", err);
}

int mounts_make_kernel(int root_fd, enum cgroup_kind kind, bool nesting, struct err *err)
{
	const unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	_cleanup_close_ int proc_fd = make_fs("proc", NULL, attributes);
	_cleanup_close_ int sys_fd = make_fs("sysfs", NULL, attributes | MOUNT_ATTR_RDONLY);
	int r = mount_on(proc_fd, root_fd, "proc", err);

	if (r == 0)
		r = mount_on(sys_fd, root_fd, "sys", err);
	if (r == 0)
		r = make_mqueue(root_fd, err);
	/* The cgroup2 tree alone on v1 hosts too: engines can make cgroups there, and in no v1 one.
	 */
	if (r == 0)
		r = cgroup_mount_inside(nesting ? CGROUP_UNIFIED : kind, "/sys/fs/cgroup", err);
	if (r == 0 && nesting)
		r = make_visible(root_fd, err);
	return r < 0 ? r : cover_all(root_fd, nesting, err);
}
