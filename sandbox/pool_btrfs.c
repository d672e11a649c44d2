/*
 * The pool driver `btrfs`: a file system of its own on a sparse file behind a loop device, a
 * subvolume for each directory, a quota group for each limit. A tenant's group is 1/N, N being the
 * id of the tenant directory's subvolume, so that nothing has to be remembered. Must never attach
 * the file twice (loop.h), nor make a file system on a file that has one.
 */
#include "sandbox/pool_internal.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "sandbox/btrfs_ioctl.h"
#include "sandbox/loop.h"
#include "sandbox/pool_mkfs.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#define SIZE_STEP (1ull << 20)

/* On a tenant's directory: the limit of its group, a uint64_t. */
#define LIMIT_XATTR "trusted.croft.disk"

/* Dropping more than this is committed at once, so that the tenant's limit is free again soon. */
#define DROP_SYNC_BYTES (16ull << 20)

/* The superblock's place and its fsid's place in it: linux/btrfs_tree.h, fs/btrfs/ctree.h. */
#define SUPERBLOCK_OFFSET 65536
#define FSID_OFFSET	  32

static bool works(const struct pool_config *config)
{
	_cleanup_close_ int fs = -1;

	(void)config;
	if (!loop_is_usable() || !pool_mkfs_available())
		return false;
	fs = fsopen("btrfs", FSOPEN_CLOEXEC);
	return fs >= 0;
}

static int choose_size(const struct pool_config *config, uint64_t *ret, struct err *err)
{
	struct statvfs st;
	uint64_t size = config->size_bytes;

	if (fstatvfs(config->state_fd, &st) < 0)
		return err_sys(err, errno, "ask how much space the host has");
	if (size == 0)
		size = st.f_bavail * (uint64_t)st.f_frsize / 2;
	size -= size % SIZE_STEP;
	if (size < POOL_SIZE_MIN)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "POOL_TOO_SMALL", "disk",
			"a pool needs at least 256 MiB; free some space for the state directory, "
			"or ask for a larger pool");
	*ret = size;
	return 0;
}

/* Opens the pool's file, which appears under its name only once it holds a file system. */
static int open_file(const struct pool_config *config, int *ret_fd, struct err *err)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(config->state_fd, POOL_FILE, flags);
	uint64_t size = 0;
	int r;

	if (fd < 0 && errno == ENOENT) {
		r = choose_size(config, &size, err);
		if (r == 0)
			r = pool_mkfs(config->state_fd, POOL_FILE, size, err);
		if (r < 0)
			return err_wrap(err, r, "make the pool");
		fd = openat(config->state_fd, POOL_FILE, flags);
	}
	if (fd < 0)
		return err_sys(err, errno, "open the pool's file");
	*ret_fd = fd;
	return 0;
}

static int mount_device(const char *device, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fs = fsopen("btrfs", FSOPEN_CLOEXEC);
	_cleanup_close_ int fd = -1;

	if (fs < 0)
		return err_sys(err, errno, "open the btrfs file system type");
	/* Freed blocks go back to the host: the pool's file is sparse. */
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
		fsconfig(fs, FSCONFIG_SET_STRING, "discard", "async", 0) < 0 ||
		fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(err, errno, "open the pool's file system");
	fd = fsmount(
		fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME);
	if (fd < 0)
		return err_sys(err, errno, "mount the pool");
	*ret_fd = take_fd(&fd);
	return 0;
}

static int mount_btrfs(const struct pool_config *config, struct err *err)
{
	_cleanup_close_ int file = -1;
	_cleanup_close_ int device = -1; /* open until it is mounted: it would go away otherwise */
	_cleanup_close_ int mount_fd = -1;
	char path[LOOP_PATH_SIZE];
	int r;

	r = open_file(config, &file, err);
	if (r == 0)
		r = loop_attach(file, &device, path, err);
	if (r == 0)
		r = mount_device(path, &mount_fd, err);
	if (r == 0)
		r = pool_move_mount(mount_fd, config->state_fd, err);
	return r;
}

/* What is mounted may be somebody else's: the pool is the file system that the file holds. */
static int check_identity(const struct pool_config *config, int root_fd, struct err *err)
{
	uint8_t mounted[BTRFS_IOCTL_FSID_SIZE];
	uint8_t in_file[BTRFS_IOCTL_FSID_SIZE];
	_cleanup_close_ int file = openat(
		config->state_fd, POOL_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (file < 0 || pread(file, in_file, sizeof(in_file), SUPERBLOCK_OFFSET + FSID_OFFSET) !=
				sizeof(in_file))
		return err_sys(err, errno, "read the pool's file");
	if (btrfs_fsid(root_fd, mounted) < 0 || memcmp(mounted, in_file, sizeof(mounted)))
		return err_set(err, ERR_FAILED_PRECONDITION, "POOL_MISMATCH",
			"another file system is mounted in the pool's place; unmount it, and start "
			"again");
	return 0;
}

static int prepare(const struct pool_config *config, int root_fd, struct err *err)
{
	int r = check_identity(config, root_fd, err);

	if (r < 0)
		return r;
	r = btrfs_quota_enable(root_fd);
	if (r < 0)
		return err_sys(err, r, "turn the pool's quotas on");
	r = btrfs_group_sweep(root_fd);
	return r < 0 ? err_sys(err, r, "drop the quota groups that are left over") : 0;
}

static int release(const struct pool_config *config, struct err *err)
{
	_cleanup_close_ int file = openat(
		config->state_fd, POOL_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (file < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open the pool's file");
	return loop_release(file, err);
}

/* The quota group of a directory's own (level 0), or of what has it as its group (level 1). */
static int group_of(int dir_fd, unsigned level, uint64_t *ret, struct err *err)
{
	uint64_t id;
	int r;

	/* A plain directory would name the subvolume around it: the whole pool. */
	r = btrfs_is_subvolume(dir_fd) ? btrfs_subvolume_id(dir_fd, &id) : -ESTALE;
	if (r < 0)
		return err_sys(err, r, "look up a directory's quota group");
	*ret = btrfs_group(level, id);
	return 0;
}

static int group_of_target(const struct pool_target *target, uint64_t *ret, struct err *err)
{
	return target->dir_fd >= 0 ? group_of(target->dir_fd, 0, ret, err)
				   : group_of(target->group_fd, 1, ret, err);
}

static int make(const struct pool_entry *entry, const struct pool_new *new, struct err *err)
{
	uint64_t group = 0;
	int r = 0;

	(void)new;
	if (entry->group_fd >= 0)
		r = group_of(entry->group_fd, 1, &group, err);
	if (r < 0)
		return r;
	r = btrfs_subvolume_create(entry->parent_fd, entry->name, group);
	return r < 0 && r != -EEXIST ? err_sys(err, r, "make a directory in the pool") : 0;
}

/*
 * The tenant's own directory stays outside its group: making and removing a container writes to
 * it, which must go on when the tenant's disk is full.
 */
static int make_group(int root_fd, int dir_fd, struct err *err)
{
	uint64_t group = 0;
	int r = group_of(dir_fd, 1, &group, err);

	(void)root_fd;
	if (r < 0)
		return r;
	r = btrfs_group_create(dir_fd, group);
	return r < 0 ? err_sys(err, r, "make the tenant's quota group") : 0;
}

static int destroy(int parent_fd, const char *name, struct err *err)
{
	int r = btrfs_subvolume_destroy(parent_fd, name);

	/* A plain directory, or a subvolume with others below it. */
	if (r == -ENOTEMPTY || r == -EINVAL || r == -ENOTDIR)
		return tree_remove_at(parent_fd, name, err);
	return r < 0 && r != -ENOENT ? err_sys(err, r, "remove a directory of the pool") : 0;
}

static int drop(const struct pool_entry *entry, bool group, struct err *err)
{
	int parent_fd = entry->parent_fd;
	_cleanup_close_ int fd = openat(
		parent_fd, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t id = 0;
	uint64_t bytes = 0;
	bool sealed;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0 && btrfs_is_subvolume(fd) && btrfs_subvolume_id(fd, &id) == 0)
		btrfs_group_usage(parent_fd, btrfs_group(0, id), &bytes);
	/* What a snapshot holds may count to whom wrote it: its own figure tells nothing. */
	sealed = fd >= 0 && btrfs_subvolume_is_readonly(fd);
	close_fd(&fd);
	r = destroy(parent_fd, entry->name, err);
	if (r < 0)
		return r;
	if (bytes > DROP_SYNC_BYTES || sealed)
		btrfs_sync_later(parent_fd);
	/*
	 * A group with members left (their space is not free yet) stays until the sweep of a later
	 * attach, before which its number is not used again.
	 */
	if (group && id)
		btrfs_group_remove(parent_fd, btrfs_group(1, id));
	return 0;
}

static int seal(int dir_fd, struct err *err)
{
	int r = btrfs_subvolume_set_readonly(dir_fd);

	return r < 0 ? err_sys(err, r, "make the image read-only") : 0;
}

/* Until the descriptor is closed: between the note of a tenant's limit and the limit itself. */
static int lock_group(int group_fd, struct err *err)
{
	int r = fd_lock(group_fd);

	return r < 0 ? err_sys(err, r, "lock the tenant's directory") : 0;
}

static int note_limit(int group_fd, uint64_t bytes, struct err *err)
{
	int r = lock_group(group_fd, err);

	if (r == 0 && fsetxattr(group_fd, LIMIT_XATTR, &bytes, sizeof(bytes), 0) < 0)
		r = err_sys(err, errno, "note the tenant's disk limit");
	return r;
}

static int set_limit(
	const struct pool_target *target, const struct disk_limits *quota, struct err *err)
{
	uint64_t group = 0;
	int r;

	if (quota->inodes != LIMIT_UNSET)
		return err_set_subject(err, ERR_UNIMPLEMENTED, "INODES_LIMIT_UNSUPPORTED", "inodes",
			"this host keeps containers on btrfs, which does not count files; leave "
			"the inodes limit out (\"none\"): files take up disk, which is limited");
	r = group_of_target(target, &group, err);
	if (r == 0 && target->dir_fd < 0)
		r = note_limit(target->group_fd, quota->bytes, err);
	if (r < 0)
		return r;
	r = btrfs_group_limit(target->root_fd, group, quota->bytes);
	return r < 0 ? err_sys(err, r, "set the disk limit") : 0;
}

static int stretch_group(int root_fd, uint64_t group, uint64_t limit, bool more, struct err *err)
{
	uint64_t used = 0;
	int r = 0;

	if (limit == LIMIT_UNSET)
		return 0;
	if (more)
		r = btrfs_group_usage(root_fd, group, &used);
	/* It may hold more than it may have: by force, or for what its snapshots hold. */
	if (more)
		limit = (used > limit ? used : limit) + POOL_ROOM_BYTES;
	if (r == 0)
		r = btrfs_group_limit(root_fd, group, limit);
	return r < 0 ? err_sys(err, r, "set the disk limit") : 0;
}

static int stretch(
	const struct pool_target *target, const struct disk_limits *own, bool more, struct err *err)
{
	uint64_t of_dir = 0;
	uint64_t of_group = 0;
	uint64_t limit;
	int r = lock_group(target->group_fd, err);

	if (r == 0)
		r = group_of(target->dir_fd, 0, &of_dir, err);
	if (r == 0)
		r = group_of(target->group_fd, 1, &of_group, err);
	if (r < 0)
		return r;
	/* Without a note, in a pool of an older version: as one without a limit. */
	if (fgetxattr(target->group_fd, LIMIT_XATTR, &limit, sizeof(limit)) != sizeof(limit))
		limit = LIMIT_UNSET;
	r = stretch_group(target->root_fd, of_dir, own->bytes, more, err);
	return r < 0 ? r : stretch_group(target->root_fd, of_group, limit, more, err);
}

static int usage(
	const struct pool_target *target, bool exact, struct disk_limits *ret, struct err *err)
{
	struct disk_limits used = {0};
	uint64_t group = 0;
	int r = group_of_target(target, &group, err);

	if (r < 0)
		return r;
	if (exact)
		r = btrfs_sync(target->root_fd);
	if (r == 0)
		r = btrfs_group_usage(target->root_fd, group, &used.bytes);
	if (r < 0)
		return err_sys(err, r, "read the disk usage");
	*ret = used;
	return 0;
}

static int fill(const struct pool_target *target, struct disk_limits *ret_used,
	struct disk_limits *ret_limit, struct err *err)
{
	struct disk_limits limit = DISK_LIMITS_NONE;
	struct disk_limits used = {0};
	uint64_t group = 0;
	int r = group_of_target(target, &group, err);

	if (r < 0)
		return r;
	r = btrfs_group_limit_of(target->root_fd, group, &limit.bytes);
	if (r == 0)
		r = btrfs_group_usage(target->root_fd, group, &used.bytes);
	if (r < 0)
		return err_sys(err, r, "read the disk usage");
	*ret_used = used;
	*ret_limit = limit;
	return 0;
}

static int clone(int from_fd, const struct pool_entry *entry, const struct pool_new *new,
	bool read_only, struct err *err)
{
	uint64_t group = 0;
	int r = entry->group_fd >= 0 ? group_of(entry->group_fd, 1, &group, err) : 0;

	(void)new;
	if (r == 0)
		r = pool_reading_begin(entry, err);
	if (r < 0)
		return r;
	r = btrfs_subvolume_snapshot(entry->parent_fd, entry->name, from_fd, group, read_only);
	pool_reading_end(entry);
	if (r == 0 && group)
		r = btrfs_quota_settle(entry->parent_fd);
	return r < 0 ? err_sys(err, r, "make a snapshot") : 0;
}

static int held(int dir_fd, uint64_t *ret_bytes, struct err *err)
{
	struct pool_target target = {.root_fd = dir_fd, .group_fd = -1, .dir_fd = dir_fd};
	struct disk_limits used = {0};
	bool simple;
	int r = btrfs_quota_is_simple(dir_fd, &simple);

	if (r < 0)
		return err_sys(err, r, "ask how the pool counts");
	if (simple)
		r = usage(&target, true, &used, err);
	if (r == 0)
		*ret_bytes = used.bytes;
	return r;
}

const struct pool_ops pool_btrfs_ops = {
	.name = "btrfs",
	.has_limits = true,
	.works = works,
	.mount = mount_btrfs,
	.prepare = prepare,
	.release = release,
	.make = make,
	.make_group = make_group,
	.drop = drop,
	.clone = clone,
	.held = held,
	.seal = seal,
	.set_limit = set_limit,
	.usage = usage,
	.fill = fill,
	.stretch = stretch,
};
