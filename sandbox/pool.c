/*
 * Pools; see pool.h: names, layout, the lock and the choice of a driver. What a driver does is in
 * pool_btrfs.c and pool_plain.c. Must never follow a symbolic link below the pool's root.
 */
#include "sandbox/pool.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/pool_internal.h"
#include "sandbox/pool_snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define LOCK_FILE    "pool.lock"
#define IMAGES_DIR   "images"
#define INCOMING_DIR "incoming"
#define TENANTS_DIR  "tenants"
#define OPEN_DIR     (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static const struct pool_ops *const drivers[] = {&pool_btrfs_ops, &pool_plain_ops};

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
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, errno, "lock the pool");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The driver of the pool that is there already; NULL when there is none. */
static const struct pool_ops *existing_driver(int state_fd)
{
	if (faccessat(state_fd, POOL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return &pool_btrfs_ops;
	if (faccessat(state_fd, POOL_DIR "/" TENANTS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
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
			"there is no pool driver of that name; use \"btrfs\" or \"plain\"");
	if (wanted && existing && wanted != existing)
		return err_set(err, ERR_FAILED_PRECONDITION, "POOL_DRIVER_MISMATCH",
			"the pool was made with the driver \"%s\"; use that, or another state "
			"directory",
			existing->name);
	if (!wanted)
		wanted = existing;
	for (size_t i = 0; i < ARRAY_SIZE(drivers) && !wanted; i++)
		if (drivers[i]->works())
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
		r = open_subdirectory(pool->root_fd, TENANTS_DIR, &pool->tenants_fd, err);
	return r;
}

static int attach_locked(struct pool *pool, const struct pool_config *config, struct err *err)
{
	bool mounted;
	int r;

	r = choose_driver(config, &pool->ops, err);
	if (r < 0)
		return r;
	if (mkdirat(config->state_fd, POOL_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the pool's directory");
	r = pool_is_mounted(config->state_fd, &mounted, err);
	if (r == 0 && !mounted)
		r = pool->ops->mount(config, err);
	return r < 0 ? r : open_layout(pool, config, err);
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
	close_fd(&pool->root_fd);
	close_fd(&pool->images_fd);
	close_fd(&pool->incoming_fd);
	close_fd(&pool->tenants_fd);
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
	char path[64];
	bool mounted;
	int r;

	if (!ops)
		return 0;
	r = take_lock(config->state_fd, &lock, err);
	if (r == 0)
		r = pool_is_mounted(config->state_fd, &mounted, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" POOL_DIR, config->state_fd);
	if (mounted && umount2(path, UMOUNT_NOFOLLOW) < 0)
		return errno == EBUSY ? err_set(err, ERR_FAILED_PRECONDITION, "POOL_BUSY",
						"the pool is in use; stop its containers first")
				      : err_sys(err, errno, "unmount the pool");
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

int pool_refuse_limit(struct pool *pool, uint64_t bytes, struct err *err)
{
	/* Before anything is made: a refusal leaves nothing behind. */
	if (pool->ops->has_limits || bytes == LIMIT_UNSET)
		return 0;
	return pool->ops->set_limit(pool->root_fd, -1, POOL_SCOPE_DIR, bytes, err);
}

int pool_tenant_make(struct pool *pool, const char *tenant, uint64_t disk_bytes, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = name_check("tenant", tenant, err);
	if (r == 0)
		r = pool_refuse_limit(pool, disk_bytes, err);
	if (r == 0)
		r = pool->ops->make(pool->tenants_fd, tenant, -1, err);
	if (r == 0)
		r = pool_open_tenant(pool, tenant, &fd, err);
	if (r == 0)
		r = pool->ops->make_group(fd, err);
	if (r == 0)
		r = pool->ops->set_limit(pool->root_fd, fd, POOL_SCOPE_GROUP, disk_bytes, err);
	return r;
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
	return r < 0 ? r : pool->ops->drop(pool->tenants_fd, tenant, true, err);
}

int pool_make_layers(int dir_fd, struct err *err)
{
	/* `upper` is the container's own root directory, so everyone in it must pass. */
	if (mkdirat(dir_fd, "upper", 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the container's upper directory");
	if (fchmodat(dir_fd, "upper", 0755, 0) < 0)
		return err_sys(err, errno, "open the container's upper directory to it");
	if (mkdirat(dir_fd, "work", 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the container's work directory");
	return 0;
}

int pool_upper_make(struct pool *pool, const char *tenant, const char *container,
	uint64_t disk_bytes, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	_cleanup_close_ int fd = -1;
	int r;

	r = name_check("container", container, err);
	if (r == 0)
		r = pool_refuse_limit(pool, disk_bytes, err);
	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	if (r == 0)
		r = pool->ops->make(tenant_fd, container, tenant_fd, err);
	if (r == 0)
		r = pool_open_named(tenant_fd, "container", container, OPEN_DIR, &fd, err);
	if (r == 0)
		r = pool->ops->set_limit(pool->root_fd, fd, POOL_SCOPE_DIR,
			pool_own_limit(tenant_fd, container, disk_bytes), err);
	return r < 0 ? r : pool_make_layers(fd, err);
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
	return r < 0 ? r : pool->ops->drop(tenant_fd, container, false, err);
}

/*
 * Opens what a limit or a measurement is about. container "": the tenant. *limit (may be NULL)
 * becomes what the driver is to hold it to.
 */
static int open_scope(struct pool *pool, const char *tenant, const char *container, uint64_t *limit,
	int *ret_fd, enum pool_scope *ret_scope, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	int r = pool_open_tenant(pool, tenant, &tenant_fd, err);

	if (r < 0)
		return r;
	if (!container[0]) {
		*ret_scope = POOL_SCOPE_GROUP;
		*ret_fd = take_fd(&tenant_fd);
		return 0;
	}
	if (limit)
		*limit = pool_own_limit(tenant_fd, container, *limit);
	*ret_scope = POOL_SCOPE_DIR;
	return pool_open_named(tenant_fd, "container", container, OPEN_DIR, ret_fd, err);
}

int pool_check_above_use(struct pool *pool, int fd, enum pool_scope scope, uint64_t held,
	uint64_t bytes, struct err *err)
{
	char used_text[LIMIT_TEXT_MAX];
	char limit_text[LIMIT_TEXT_MAX];
	uint64_t used;
	int r;

	r = pool->ops->usage(fd, scope, true, &used, err);
	if (r < 0 || used <= held)
		return r;
	return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_USE", "disk",
		"%s of disk are in use, more than the new limit of %s; remove files first, or "
		"force "
		"it, and further writes fail",
		size_format(used, used_text), size_format(bytes, limit_text));
}

int pool_set_limit(struct pool *pool, const char *tenant, const char *container,
	uint64_t disk_bytes, bool force, struct err *err)
{
	_cleanup_close_ int fd = -1;
	enum pool_scope scope;
	uint64_t held = disk_bytes;
	int r = open_scope(pool, tenant, container, &held, &fd, &scope, err);

	if (r == 0 && !force && pool->ops->has_limits && disk_bytes != LIMIT_UNSET)
		r = pool_check_above_use(pool, fd, scope, held, disk_bytes, err);
	return r < 0 ? r : pool->ops->set_limit(pool->root_fd, fd, scope, held, err);
}

int pool_usage(struct pool *pool, const char *tenant, const char *container, uint64_t *ret_bytes,
	struct err *err)
{
	_cleanup_close_ int fd = -1;
	enum pool_scope scope;
	int r = open_scope(pool, tenant, container, NULL, &fd, &scope, err);

	return r < 0 ? r : pool->ops->usage(fd, scope, false, ret_bytes, err);
}

int pool_image_begin(struct pool *pool, const char *image, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = name_check("image", image, err);
	if (r == 0)
		r = pool->ops->drop(pool->incoming_fd, image, false, err);
	if (r == 0)
		r = pool->ops->make(pool->incoming_fd, image, -1, err);
	if (r == 0)
		r = pool_open_named(pool->incoming_fd, "image", image, OPEN_DIR, &fd, err);
	if (r < 0)
		return r;
	if (fchmod(fd, 0755) < 0)
		return err_sys(err, errno, "open the image's directory to its containers");
	*ret_fd = take_fd(&fd);
	return 0;
}

int pool_image_commit(struct pool *pool, const char *image, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = pool_open_named(pool->incoming_fd, "image", image, OPEN_DIR, &fd, err);

	if (r < 0)
		return r;
	/* What the name stands for must be on the disk before the name is. */
	if (syncfs(pool->root_fd) < 0)
		return err_sys(err, errno, "write the image to the disk");
	if (renameat2(pool->incoming_fd, image, pool->images_fd, image, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? err_set(err, ERR_ALREADY_EXISTS, "IMAGE_EXISTS",
						 "there is an image \"%s\" already; delete it, or "
						 "choose another name",
						 image)
				       : err_sys(err, errno, "publish the image");
	r = pool->ops->seal(fd, err);
	if (r < 0)
		return r;
	return syncfs(pool->root_fd) < 0 ? err_sys(err, errno, "write the image's name") : 0;
}

int pool_image_abort(struct pool *pool, const char *image, struct err *err)
{
	int r = name_check("image", image, err);

	return r < 0 ? r : pool->ops->drop(pool->incoming_fd, image, false, err);
}

int pool_image_open(struct pool *pool, const char *image, int *ret_fd, struct err *err)
{
	return pool_open_named(pool->images_fd, "image", image,
		O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, ret_fd, err);
}

int pool_image_remove(struct pool *pool, const char *image, struct err *err)
{
	int r = name_check("image", image, err);

	if (r == 0)
		r = pool->ops->drop(pool->incoming_fd, image, false, err);
	return r < 0 ? r : pool->ops->drop(pool->images_fd, image, false, err);
}
