/*
 * See view_mount.h. Names are looked up in lxcfs once, when it has just started: each file is bound
 * in a place of its own in its mount namespace, and clones are of that. To look up a name in one
 * that has died would take the files under it off the kernel's books, and nothing could be mounted
 * on them any more where they are mounted in containers.
 */
#include "sandbox/view_mount.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/syscalls.h"
#include "sandbox/view_program.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The same path below lxcfs and below a container's root. */
static const char *const files[VIEW_FILES_N] = {
	"proc/cpuinfo",
	"proc/loadavg",
	"proc/meminfo",
	"proc/stat",
	"proc/swaps",
	"proc/uptime",
	"sys/devices/system/cpu/online",
};

#define VIEW_KEPT_DIR "/run/files" /* as VIEW_DIR */
#define KEPT_NAME_MAX (sizeof(VIEW_KEPT_DIR) + 24)

/* How often a file is uncovered of those that earlier ends of lxcfs have left. */
#define LAYERS_MAX 8

void view_mount_close(int fds[static VIEW_FILES_N])
{
	for (size_t i = 0; i < VIEW_FILES_N; i++)
		close_fd(&fds[i]);
}

static int attach(int mount_fd, int target_fd)
{
	if (move_mount(mount_fd, "", target_fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static void kept_name(size_t i, char ret[static KEPT_NAME_MAX])
{
	snprintf(ret, KEPT_NAME_MAX, VIEW_KEPT_DIR "/%zu", i);
}

static int keep(size_t i)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					      MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
	char source[sizeof(VIEW_DIR) + 64];
	char target[KEPT_NAME_MAX];
	_cleanup_close_ int mount_fd = -1;
	_cleanup_close_ int fd = -1;

	snprintf(source, sizeof(source), VIEW_DIR "/%s", files[i]);
	kept_name(i, target);
	mount_fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mount_fd < 0 || mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	fd = open(target, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : attach(mount_fd, fd);
}

int view_mount_keep(struct err *err)
{
	if (mkdir(VIEW_KEPT_DIR, 0700) < 0)
		return err_sys(err, errno, "make the directory of lxcfs's files");
	for (size_t i = 0; i < VIEW_FILES_N; i++) {
		int r = keep(i);

		if (r < 0)
			return err_sys(err, r, "ask lxcfs for %s", files[i]);
	}
	return 0;
}

int view_mount_ask(struct err *err)
{
	char name[KEPT_NAME_MAX];
	_cleanup_close_ int fd = -1;
	char text[64];

	kept_name(0, name);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text)) < 0)
		return err_sys(err, errno, "read from lxcfs");
	return 0;
}

/* In lxcfs's mount namespace. */
static int clone_all(int ret_fds[static VIEW_FILES_N])
{
	for (size_t i = 0; i < VIEW_FILES_N; i++) {
		char name[KEPT_NAME_MAX];

		kept_name(i, name);
		ret_fds[i] = open_tree(AT_FDCWD, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (ret_fds[i] < 0)
			return -errno;
	}
	return 0;
}

int view_mount_clone(int lxcfs_pidfd, int ret_fds[static VIEW_FILES_N], struct err *err)
{
	_cleanup_close_ int own_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fds[VIEW_FILES_N];
	int r;

	for (size_t i = 0; i < VIEW_FILES_N; i++)
		fds[i] = -1;
	if (own_fd < 0 || cwd_fd < 0)
		return err_sys(err, errno, "look at the own mounts");
	if (setns(lxcfs_pidfd, CLONE_NEWNS) < 0)
		return err_sys(err, errno, "enter the mounts of lxcfs");
	r = clone_all(fds);
	if (setns(own_fd, CLONE_NEWNS) < 0 || fchdir(cwd_fd) < 0)
		r = -errno;
	if (r < 0) {
		view_mount_close(fds);
		return err_sys(err, r, "take the files of lxcfs");
	}
	memcpy(ret_fds, fds, sizeof(fds));
	return 0;
}

static int open_target(int root_fd, const char *name)
{
	return sys_openat2(root_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

int view_mount_attach(const int fds[static VIEW_FILES_N], int root_fd, struct err *err)
{
	for (size_t i = 0; i < VIEW_FILES_N; i++) {
		_cleanup_close_ int target = open_target(root_fd, files[i]);
		int r = target < 0 ? target : attach(fds[i], target);

		/* Not every kernel has each of them. */
		if (r < 0 && r != -ENOENT)
			return err_sys(err, r, "cover /%s", files[i]);
	}
	return 0;
}

enum shown { SHOWN_KERNEL, SHOWN_LXCFS, SHOWN_OTHER };

/*
 * By asking for the file system alone. Who is dead refuses even that; for a moment after its end
 * the kernel may still take it for alive. No container can mount FUSE: what is there is an lxcfs.
 */
static enum shown shown_at(int target_fd)
{
	struct statfs fs;

	if (fstatfs(target_fd, &fs) < 0)
		return errno == ENOTCONN || errno == ECONNABORTED ? SHOWN_LXCFS : SHOWN_OTHER;
	if (fs.f_type == FUSE_SUPER_MAGIC)
		return SHOWN_LXCFS;
	return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ? SHOWN_KERNEL
									 : SHOWN_OTHER;
}

/*
 * What an earlier renewal laid there is taken away; the kernel keeps what the container began with.
 * The path may be another by then: what is unmounted is the tenant's own in any case, in its own
 * mount namespace.
 */
static void uncover(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/%s", name);
	for (unsigned i = 0; i < LAYERS_MAX; i++) {
		_cleanup_close_ int target = open_target(AT_FDCWD, name);

		if (target < 0 || shown_at(target) != SHOWN_LXCFS)
			return;
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return;
	}
}

static int renew_file(const char *name, int mount_fd)
{
	_cleanup_close_ int target = -1;

	uncover(name);
	target = open_target(AT_FDCWD, name);
	if (target < 0)
		return target;
	return shown_at(target) == SHOWN_OTHER ? 0 : attach(mount_fd, target);
}

int view_mount_renew(const int fds[static VIEW_FILES_N], int init_pidfd, struct err *err)
{
	int worst = 0;

	/* The working directory is then the container's root. */
	if (setns(init_pidfd, CLONE_NEWNS) < 0)
		return err_sys(err, errno, "enter the container's mounts");
	for (size_t i = 0; i < VIEW_FILES_N; i++) {
		int r = renew_file(files[i], fds[i]);

		if (r < 0 && r != -ENOENT)
			worst = r;
	}
	return worst < 0 ? err_sys(err, worst, "renew what /proc shows") : 0;
}
