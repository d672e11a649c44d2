/*
 * Overlay on id-mapped layers; see rootfs.h. Runs as root in a worker. The mount must be made with
 * file-system ids inside the range: host id 0 does not exist on the mapped layers, and overlayfs
 * would fall back to read-only without a word.
 */
#include "sandbox/rootfs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/mapped_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

enum layer { LAYER_LOWER, LAYER_UPPER, LAYER_N };
_Static_assert(LAYER_N == ROOTFS_LAYERS_N, "one descriptor for each");

/* Where the layers are attached when the kernel cannot use them detached. */
static const char *const scratch_names[LAYER_N] = {"lower", "upper"};

static int map_layer(int dir_fd, int userns_fd, struct err *err)
{
	int fd = mapped_mount_clone(dir_fd, userns_fd, 0);

	return fd < 0 ? err_sys(err, fd, "map a layer's ids") : fd;
}

/* Takes the range's ids for file access; the capabilities that leaving uid 0 drops come back. */
static int take_fs_ids(uid_t id_base, struct err *err)
{
	cap_t caps = cap_get_proc();
	int r = 0;

	if (!caps)
		return err_sys(err, errno, "read capabilities");
	setfsgid(id_base);
	setfsuid(id_base);
	if ((uid_t)setfsuid((uid_t)-1) != id_base || cap_set_proc(caps) < 0)
		r = err_sys(err, errno, "take the container's file-system ids");
	cap_free(caps);
	return r;
}

static int drop_fs_ids(struct err *err)
{
	cap_t caps = cap_get_proc();
	int r = 0;

	if (!caps)
		return err_sys(err, errno, "read capabilities");
	setfsuid(0);
	setfsgid(0);
	if (cap_set_proc(caps) < 0)
		r = err_sys(err, errno, "restore capabilities");
	cap_free(caps);
	return r;
}

static int configure(int fs_fd, char paths[static LAYER_N][64])
{
	char upper[96];
	char work[96];

	snprintf(upper, sizeof(upper), "%s/upper", paths[LAYER_UPPER]);
	snprintf(work, sizeof(work), "%s/work", paths[LAYER_UPPER]);
	if (fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", "croft", 0) < 0 ||
		fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir", paths[LAYER_LOWER], 0) < 0 ||
		fsconfig(fs_fd, FSCONFIG_SET_STRING, "upperdir", upper, 0) < 0 ||
		fsconfig(fs_fd, FSCONFIG_SET_STRING, "workdir", work, 0) < 0 ||
		fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	return 0;
}

/* Returns the detached mount, or -errno. */
static int mount_overlay(char paths[static LAYER_N][64])
{
	_cleanup_close_ int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);
	int mount_fd;
	int r;

	if (fs_fd < 0)
		return -errno;
	r = configure(fs_fd, paths);
	if (r < 0)
		return r;
	mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
	return mount_fd < 0 ? -errno : mount_fd;
}

static int mount_on_detached(const int layers[static LAYER_N])
{
	char paths[LAYER_N][64];

	for (int i = 0; i < LAYER_N; i++)
		snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d", layers[i]);
	return mount_overlay(paths);
}

/*
 * Kernels before 6.5 or so clone the upper's mount, which a detached one does not allow. The
 * attached layers live in a mount namespace that ends with this worker.
 */
static int attach(struct rootfs_layers *layers, struct err *err)
{
	if (layers->attached)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "make a private mount namespace");
	/* By path: a descriptor would still lead into the old namespace. */
	for (int i = 0; i < LAYER_N; i++)
		if (move_mount(layers->fds[i], "", AT_FDCWD, scratch_names[i],
			    MOVE_MOUNT_F_EMPTY_PATH) < 0)
			return err_sys(err, errno, "attach a layer");
	layers->attached = true;
	return 0;
}

static int mount_on_attached(struct rootfs_layers *layers, struct err *err)
{
	char paths[LAYER_N][64];
	int r = attach(layers, err);

	for (int i = 0; i < LAYER_N; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s", scratch_names[i]);
	return r < 0 ? r : mount_overlay(paths);
}

/* Overlayfs mounts read-only instead of failing when it cannot prepare its work directory. */
static int check_writable(int mount_fd, struct err *err)
{
	struct statvfs fs;

	if (fstatvfs(mount_fd, &fs) < 0)
		return err_sys(err, errno, "look at the root file system");
	if (fs.f_flag & ST_RDONLY)
		return err_set(err, ERR_FAILED_PRECONDITION, ROOTFS_READ_ONLY,
			"the container's root file system came up read-only; if its tenant's disk "
			"or the host's is full, make room there");
	return 0;
}

int rootfs_layers_open(struct rootfs_layers *ret, int image_fd, int upper_fd, int userns_fd,
	uid_t id_base, struct err *err)
{
	_cleanup_close_ int lower = map_layer(image_fd, userns_fd, err);
	_cleanup_close_ int upper = lower < 0 ? -1 : map_layer(upper_fd, userns_fd, err);

	if (lower < 0 || upper < 0)
		return lower < 0 ? lower : upper;
	*ret = (struct rootfs_layers){
		.fds = {take_fd(&lower), take_fd(&upper)},
		.id_base = id_base,
	};
	return 0;
}

void rootfs_layers_close(struct rootfs_layers *layers)
{
	for (int i = 0; i < LAYER_N; i++)
		close_fd(&layers->fds[i]);
}

int rootfs_mount(struct rootfs_layers *layers, int *ret_mount_fd, struct err *err)
{
	_cleanup_close_ int mount_fd = -1;
	int r = take_fs_ids(layers->id_base, err);

	if (r < 0)
		return r;
	mount_fd = layers->attached ? -EINVAL : mount_on_detached(layers->fds);
	if (mount_fd == -EINVAL)
		mount_fd = mount_on_attached(layers, err);
	if (mount_fd < 0)
		return err_sys(err, mount_fd, "mount the root file system");
	r = drop_fs_ids(err);
	if (r == 0)
		r = check_writable(mount_fd, err);
	if (r < 0)
		return r;
	*ret_mount_fd = take_fd(&mount_fd);
	return 0;
}
