/*
 * Pools; see pool.h: names, layout, the lock and the choice of a driver. What a driver does is in
 * pool_btrfs.c, pool_project.c and pool_plain.c. Must never follow a symbolic link below the pool's
 * root.
 */
#include "sandbox/pool.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "sandbox/pool_internal.h"
#include "sandbox/pool_snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define LOCK_FILE      "pool.lock"
#define IMAGES_DIR     "images"
#define INCOMING_DIR   "incoming"
#define DETACH_WAIT_MS 3000
#define DETACH_STEP_MS 20
#define OPEN_DIR       (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* In the order of preference: a file system that was mounted for it was meant for it. */
static const struct pool_ops *const drivers[] = {
	&pool_project_ops, &pool_btrfs_ops, &pool_plain_ops};

const struct pool_new pool_new_plain = {
	.quota = {.bytes = LIMIT_UNSET, .inodes = LIMIT_UNSET},
	.instead_fd = -1,
};

int pool_is_mounted(int state_fd, bool *ret, struct err *err)
{
	struct statx st;

	if (statx(state_fd, POOL_DIR, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) < 0) {
		if (errno != ENOENT)
			return err_sys(err, errno, "look at the pool's directory");
		*ret = false;
		return 0;
	}
	*ret = st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return 0;
}

int pool_move_mount(int mount_fd, int state_fd, struct err *err)
{
	if (move_mount(mount_fd, "", state_fd, POOL_DIR, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, errno, "mount the pool");
	return 0;
}

static int take_lock(int state_fd, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = openat(
		state_fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "open the pool's lock");
	r = fd_lock(fd);
	if (r < 0)
		return err_sys(err, r, "lock the pool");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The driver of the pool that is there already; NULL when there is none. */
static const struct pool_ops *existing_driver(int state_fd)
{
	if (faccessat(state_fd, POOL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return &pool_btrfs_ops;
	if (faccessat(state_fd, POOL_PROJECT_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return &pool_project_ops;
	if (faccessat(state_fd, POOL_DIR "/" POOL_TENANTS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return &pool_plain_ops;
	return NULL;
}

static int choose_driver(
	const struct pool_config *config, const struct pool_ops **ret, struct err *err)
{
	const struct pool_ops *existing = existing_driver(config->state_fd);
	const struct pool_ops *wanted = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(drivers) && config->driver[0]; i++)
		if (!strncmp(drivers[i]->name, config->driver, sizeof(config->driver)))
			wanted = drivers[i];
	if (config->driver[0] && !wanted)
		return err_set(err, ERR_INVALID_ARGUMENT, "POOL_DRIVER_UNKNOWN",
			"there is no pool driver of that name; use \"btrfs\", "
			"\"project\" or \"plain\"");
	if (wanted && existing && wanted != existing)
		return err_set(err, ERR_FAILED_PRECONDITION, "POOL_DRIVER_MISMATCH",
			"the pool was made with the driver \"%s\"; use that, or another state "
			"directory",
			existing->name);
	if (!wanted)
		wanted = existing;
	for (size_t i = 0; i < ARRAY_SIZE(drivers) && !wanted; i++)
		if (drivers[i]->works(config))
			wanted = drivers[i];
	*ret = wanted;
	return 0;
}

static int open_subdirectory(int root_fd, const char *name, int *ret_fd, struct err *err)
{
	int fd;

	if (mkdirat(root_fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the pool's directory %s", name);
	fd = openat(root_fd, name, OPEN_DIR);
	if (fd < 0)
		return err_sys(err, errno, "open the pool's directory %s", name);
	*ret_fd = fd;
	return 0;
}

/* Everyone in a container must pass. */
static int make_empty(int root_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_subdirectory(root_fd, POOL_EMPTY_DIR, &fd, err);

	if (r < 0)
		return r;
	return fchmod(fd, 0755) < 0 ? err_sys(err, errno, "open the pool's empty directory") : 0;
}

static int open_layout(struct pool *pool, const struct pool_config *config, struct err *err)
{
	int r;

	pool->root_fd = openat(config->state_fd, POOL_DIR, OPEN_DIR);
	if (pool->root_fd < 0)
		return err_sys(err, errno, "open the pool");
	/* No user of the host may reach what a tenant owns below, least of all its setuid files. */
	if (fchmod(pool->root_fd, 0700) < 0)
		return err_sys(err, errno, "close the pool to others");
	r = pool->ops->prepare(config, pool->root_fd, err);
	if (r == 0)
		r = open_subdirectory(pool->root_fd, IMAGES_DIR, &pool->images_fd, err);
	if (r == 0)
		r = open_subdirectory(pool->root_fd, INCOMING_DIR, &pool->incoming_fd, err);
	if (r == 0)
		r = pool_export_drop_all(pool, err);
	if (r == 0)
		r = make_empty(pool->root_fd, err);
	if (r == 0)
		r = open_subdirectory(pool->root_fd, POOL_TENANTS_DIR, &pool->tenants_fd, err);
	return r;
}

static void close_dirs(struct pool *pool)
{
	close_fd(&pool->root_fd);
	close_fd(&pool->images_fd);
	close_fd(&pool->incoming_fd);
	close_fd(&pool->tenants_fd);
}

static int unmount(int state_fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/" POOL_DIR, state_fd);
	return umount2(path, UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

/*
 * The kernel lets go of a dead process's mounts a moment after it has been reaped: of one that had
 * a mount namespace of its own, as an import has. May wait DETACH_WAIT_MS.
 */
static int unmount_patiently(int state_fd)
{
	const struct timespec pause = {.tv_nsec = DETACH_STEP_MS * 1000000L};
	int r = unmount(state_fd);

	for (int waited = 0; r == -EBUSY && waited < DETACH_WAIT_MS; waited += DETACH_STEP_MS) {
		nanosleep(&pause, NULL);
		r = unmount(state_fd);
	}
	return r;
}

static int attach_locked(struct pool *pool, const struct pool_config *config, struct err *err)
{
	bool mounted = true;
	int r;

	r = choose_driver(config, &pool->ops, err);
	if (r < 0)
		return r;
	if (mkdirat(config->state_fd, POOL_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the pool's directory");
	r = pool_is_mounted(config->state_fd, &mounted, err);
	if (r == 0 && !mounted)
		r = pool->ops->mount(config, err);
	if (r == 0)
		r = open_layout(pool, config, err);
	/* A pool that was refused leaves no mount behind, over what may be put there instead. */
	if (r < 0 && !mounted) {
		close_dirs(pool);
		unmount(config->state_fd);
	}
	return r;
}

static void cleanup_pool(struct pool **pool)
{
	pool_close(*pool);
}

int pool_attach(const struct pool_config *config, struct pool **ret, struct err *err)
{
	_cleanup_(cleanup_pool) struct pool *pool = calloc(1, sizeof(*pool));
	_cleanup_close_ int lock = -1;
	int r;

	if (!pool)
		return err_oom(err);
	pool->root_fd = pool->images_fd = pool->incoming_fd = pool->tenants_fd = -1;
	r = take_lock(config->state_fd, &lock, err);
	if (r == 0)
		r = attach_locked(pool, config, err);
	if (r < 0)
		return r;
	*ret = take_ptr(pool);
	return 0;
}

void pool_close(struct pool *pool)
{
	if (!pool)
		return;
	close_dirs(pool);
	free(pool);
}

void pool_list_fds(const struct pool *pool, struct fd_list *list)
{
	fd_list_add(list, pool->root_fd);
	fd_list_add(list, pool->images_fd);
	fd_list_add(list, pool->incoming_fd);
	fd_list_add(list, pool->tenants_fd);
}

int pool_detach(const struct pool_config *config, struct err *err)
{
	const struct pool_ops *ops = existing_driver(config->state_fd);
	_cleanup_close_ int lock = -1;
	bool mounted;
	int r;

	if (!ops)
		return 0;
	r = take_lock(config->state_fd, &lock, err);
	if (r == 0)
		r = pool_is_mounted(config->state_fd, &mounted, err);
	if (r < 0)
		return r;
	if (mounted)
		r = unmount_patiently(config->state_fd);
	if (r < 0)
		return r == -EBUSY ? err_set(err, ERR_FAILED_PRECONDITION, "POOL_BUSY",
					     "the pool is in use; stop its containers first")
				   : err_sys(err, r, "unmount the pool");
	return ops->release(config, err);
}

const char *pool_driver(const struct pool *pool)
{
	return pool->ops->name;
}

bool pool_has_limits(const struct pool *pool)
{
	return pool->ops->has_limits;
}

bool pool_copies(const struct pool *pool)
{
	return pool->ops->copies;
}

struct block_device pool_disk(const struct pool *pool)
{
	return block_device_of(pool->root_fd);
}

int pool_space(const struct pool *pool, uint64_t *ret_size, uint64_t *ret_used, struct err *err)
{
	struct statvfs st;

	if (fstatvfs(pool->root_fd, &st) < 0)
		return err_sys(err, errno, "ask how full the pool is");
	*ret_size = st.f_blocks * (uint64_t)st.f_frsize;
	*ret_used = (st.f_blocks - st.f_bfree) * (uint64_t)st.f_frsize;
	return 0;
}

int pool_open_named(
	int parent_fd, const char *what, const char *name, int flags, int *ret_fd, struct err *err)
{
	int r = name_check(what, name, err);
	int fd;

	if (r < 0)
		return r;
	fd = openat(parent_fd, name, flags);
	if (fd < 0 && errno == ENOENT)
		return err_set(
			err, ERR_NOT_FOUND, "NOT_IN_POOL", "the pool has no %s \"%s\"", what, name);
	if (fd < 0)
		return err_sys(err, errno, "open the %s's directory in the pool", what);
	*ret_fd = fd;
	return 0;
}

int pool_open_tenant(struct pool *pool, const char *tenant, int *ret_fd, struct err *err)
{
	return pool_open_named(pool->tenants_fd, "tenant", tenant, OPEN_DIR, ret_fd, err);
}

int pool_refuse_limit(struct pool *pool, const struct disk_limits *quota, struct err *err)
{
	static const struct pool_target none = {.root_fd = -1, .group_fd = -1, .dir_fd = -1};
	struct disk_limits unheld = *quota;

	/* Before anything is made: a refusal leaves nothing behind. */
	if (pool->ops->has_limits)
		unheld.bytes = LIMIT_UNSET;
	if (pool->ops->has_inodes)
		unheld.inodes = LIMIT_UNSET;
	if (unheld.bytes == LIMIT_UNSET && unheld.inodes == LIMIT_UNSET)
		return 0;
	return pool->ops->set_limit(&none, &unheld, err);
}

int pool_tenant_make(
	struct pool *pool, const char *tenant, const struct disk_limits *quota, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct pool_entry entry = {pool->root_fd, -1, pool->tenants_fd, tenant};
	struct pool_target target = {.root_fd = pool->root_fd, .dir_fd = -1};
	int r;

	r = name_check("tenant", tenant, err);
	if (r == 0)
		r = pool_refuse_limit(pool, quota, err);
	if (r == 0)
		r = pool->ops->make(&entry, &pool_new_plain, err);
	if (r == 0)
		r = pool_open_tenant(pool, tenant, &fd, err);
	if (r == 0)
		r = pool->ops->make_group(pool->root_fd, fd, err);
	target.group_fd = fd;
	return r < 0 ? r : pool->ops->set_limit(&target, quota, err);
}

static int check_empty(int dir_fd, struct err *err)
{
	int copy = openat(dir_fd, ".", OPEN_DIR);
	_cleanup_closedir_ DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (!dir)
		return err_sys(err, errno, "list the tenant's directory");
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_NOT_EMPTY",
				"the tenant still has containers or volumes; delete them first");
	return 0;
}

int pool_tenant_remove(struct pool *pool, const char *tenant, struct err *err)
{
	struct pool_entry entry = {pool->root_fd, -1, pool->tenants_fd, tenant};
	_cleanup_close_ int fd = -1;
	struct err ignored;
	int r;

	r = name_check("tenant", tenant, err);
	if (r < 0)
		return r;
	r = pool_open_tenant(pool, tenant, &fd, &ignored);
	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(err, r, "open the tenant's directory");
	r = check_empty(fd, err);
	close_fd(&fd);
	return r < 0 ? r : pool->ops->drop(&entry, true, err);
}

int pool_write_failed(int root_fd, int error, const char *doing, struct err *err)
{
	struct statvfs st;
	bool full = error == -ENOSPC && fstatvfs(root_fd, &st) == 0 &&
		    (!st.f_bavail || (st.f_files && !st.f_ffree));

	/* XFS says ENOSPC for a project that is full, too; the root is of none that is limited. */
	if (full)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "POOL_FULL",
			"the host's disk for containers is full; have its operator make room");
	if (error == -EDQUOT || error == -ENOSPC)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "DISK_FULL", "disk",
			"the tenant's disk is full: there is no room for what would be made; "
			"remove files, snapshots or volumes, or have its limit raised");
	return err_sys(err, error, "%s", doing);
}

int pool_make_layers(struct pool *pool, int dir_fd, struct err *err)
{
	/* `upper` is the container's own root directory, so everyone in it must pass. */
	if (mkdirat(dir_fd, "upper", 0755) < 0 && errno != EEXIST)
		return pool_write_failed(
			pool->root_fd, -errno, "make the container's upper directory", err);
	if (fchmodat(dir_fd, "upper", 0755, 0) < 0)
		return err_sys(err, errno, "open the container's upper directory to it");
	if (mkdirat(dir_fd, "work", 0700) < 0 && errno != EEXIST)
		return pool_write_failed(
			pool->root_fd, -errno, "make the container's work directory", err);
	return 0;
}

/* A container's own limit, as the driver is to hold it. */
static int set_own_limit(struct pool *pool, int tenant_fd, const char *container, int fd,
	const struct disk_limits *quota, struct err *err)
{
	struct pool_target target = {pool->root_fd, tenant_fd, fd};
	struct disk_limits own = pool_own_limit(tenant_fd, container, quota);

	return pool->ops->set_limit(&target, &own, err);
}

int pool_upper_make(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, struct err *err)
{
	struct pool_new new = {.quota = *quota, .instead_fd = -1};
	struct pool_entry entry = {.root_fd = pool->root_fd, .name = container};
	_cleanup_close_ int tenant_fd = -1;
	_cleanup_close_ int fd = -1;
	int r;

	r = name_check("container", container, err);
	if (r == 0)
		r = pool_refuse_limit(pool, quota, err);
	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	entry.group_fd = entry.parent_fd = tenant_fd;
	if (r == 0)
		r = pool->ops->make(&entry, &new, err);
	if (r == 0)
		r = pool_open_named(tenant_fd, "container", container, OPEN_DIR, &fd, err);
	if (r == 0)
		r = set_own_limit(pool, tenant_fd, container, fd, quota, err);
	return r < 0 ? r : pool_make_layers(pool, fd, err);
}

int pool_upper_open(
	struct pool *pool, const char *tenant, const char *container, int *ret_fd, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	int r = pool_open_tenant(pool, tenant, &tenant_fd, err);

	if (r < 0)
		return r;
	return pool_open_named(tenant_fd, "container", container,
		O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, ret_fd, err);
}

int pool_upper_remove(struct pool *pool, const char *tenant, const char *container, struct err *err)
{
	struct pool_entry entry = {.root_fd = pool->root_fd, .name = container};
	_cleanup_close_ int tenant_fd = -1;
	struct err ignored;
	int r;

	r = name_check("tenant", tenant, err);
	if (r == 0)
		r = name_check("container", container, err);
	if (r < 0)
		return r;
	r = pool_open_tenant(pool, tenant, &tenant_fd, &ignored);
	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(err, r, "open the tenant's directory");
	r = pool_drop_companions(pool, tenant_fd, container, err);
	entry.group_fd = entry.parent_fd = tenant_fd;
	return r < 0 ? r : pool->ops->drop(&entry, false, err);
}
