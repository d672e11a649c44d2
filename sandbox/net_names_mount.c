/*
 * The file system of the hosts files; see net_names.h. Mounted in the host's mount namespace, since
 * the supervisor's own ends with it; entered for these few calls only, and left whatever happens.
 */
#include "sandbox/net_names.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Hosts files of 4,096 tenants, most of them small. */
static const char *const options[][2] = {
	{"mode", "0700"},
	{"size", "256m"},
	{"nr_inodes", "16384"},
};

static int make_fs(void)
{
	_cleanup_close_ int fs_fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (fs_fd < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (fsconfig(fs_fd, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0)
			return -errno;
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(
		fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? -errno : fd;
}

/* True for a directory that is the root of a tmpfs of its own. */
static bool is_mounted(int parent_fd, int dir_fd)
{
	struct stat parent;
	struct stat dir;
	struct statfs fs;

	return fstat(parent_fd, &parent) == 0 && fstat(dir_fd, &dir) == 0 &&
	       fstatfs(dir_fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC && parent.st_dev != dir.st_dev;
}

static int open_names(int parent_fd)
{
	return openat(parent_fd, NET_NAMES_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* In the host's namespace. Returns a mount of the file system that is attached to nothing. */
static int mount_and_clone(const char *run_path, struct err *err)
{
	_cleanup_close_ int run = open(run_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dir = -1;
	int fd;

	if (run < 0 || (mkdirat(run, NET_NAMES_DIR, 0700) < 0 && errno != EEXIST))
		return err_sys(err, errno, "make the directory %s", NET_NAMES_DIR);
	dir = open_names(run);
	if (dir < 0)
		return err_sys(err, errno, "open the directory %s", NET_NAMES_DIR);
	if (!is_mounted(run, dir)) {
		_cleanup_close_ int fs = make_fs();

		if (fs < 0 || move_mount(fs, "", dir, "",
				      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
			return err_sys(err, fs < 0 ? fs : errno, "mount %s", NET_NAMES_DIR);
	}
	fd = open_tree(run, NET_NAMES_DIR, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", NET_NAMES_DIR) : fd;
}

/* The calling process's namespace and working directory, to come back to. */
struct home {
	int ns_fd;
	int cwd_fd;
};

static int leave_home(int host_ns_fd, struct home *home, struct err *err)
{
	home->ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	home->cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (home->ns_fd < 0 || home->cwd_fd < 0 || setns(host_ns_fd, CLONE_NEWNS) < 0)
		return err_sys(err, errno, "enter the host's mounts");
	return 0;
}

static int come_home(struct home *home, int r, struct err *err)
{
	if (setns(home->ns_fd, CLONE_NEWNS) < 0 || fchdir(home->cwd_fd) < 0)
		r = err_sys(err, errno, "leave the host's mounts");
	return r;
}

int net_names_mount(int host_ns_fd, const char *run_path, struct err *err)
{
	_cleanup_close_ int ns_fd = -1;
	_cleanup_close_ int cwd_fd = -1;
	_cleanup_close_ int mount_fd = -1;
	_cleanup_close_ int dir = -1;
	struct home home = {-1, -1};
	int r = leave_home(host_ns_fd, &home, err);

	ns_fd = home.ns_fd;
	cwd_fd = home.cwd_fd;
	if (r < 0)
		return r;
	mount_fd = mount_and_clone(run_path, err);
	r = come_home(&home, mount_fd < 0 ? mount_fd : 0, err);
	if (r < 0)
		return r;
	if (mkdir(NET_NAMES_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the directory %s", NET_NAMES_DIR);
	dir = open_names(AT_FDCWD);
	if (dir < 0)
		return err_sys(err, errno, "open the directory %s", NET_NAMES_DIR);
	if (is_mounted(cwd_fd, dir))
		return 0;
	if (move_mount(mount_fd, "", dir, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
		0)
		return err_sys(err, errno, "attach %s", NET_NAMES_DIR);
	return 0;
}

static int unmount(const char *run_path, struct err *err)
{
	_cleanup_close_ int run = open(run_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (run < 0 || fchdir(run) < 0)
		return err_sys(err, errno, "open the run directory");
	/* EINVAL: it is no mount (any more). */
	if (umount2(NET_NAMES_DIR, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
		errno != ENOENT)
		return err_sys(err, errno, "unmount %s", NET_NAMES_DIR);
	if (unlinkat(run, NET_NAMES_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove the directory %s", NET_NAMES_DIR);
	return 0;
}

int net_names_unmount(int host_ns_fd, const char *run_path, struct err *err)
{
	_cleanup_close_ int ns_fd = -1;
	_cleanup_close_ int cwd_fd = -1;
	struct home home = {-1, -1};
	int r = leave_home(host_ns_fd, &home, err);

	ns_fd = home.ns_fd;
	cwd_fd = home.cwd_fd;
	return r < 0 ? r : come_home(&home, unmount(run_path, err), err);
}
