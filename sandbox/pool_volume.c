/* Volumes in the pool; see pool_volume.h. Must never follow a link that a tenant could make. */
#include "sandbox/pool_volume.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/pool_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define SUFFIX	 ".volume"
#define DATA_DIR "data"
#define DIR_SIZE (NAME_SIZE + sizeof(SUFFIX))

static int dir_name(const char *volume, char ret[static DIR_SIZE], struct err *err)
{
	int r = name_check("volume", volume, err);

	if (r == 0)
		snprintf(ret, DIR_SIZE, "%.*s" SUFFIX, NAME_LEN_MAX, volume);
	return r;
}

bool pool_volume_of_dir(const char *dir, char ret[static NAME_SIZE])
{
	const char *suffix = strchr(dir, '.');
	char name[NAME_SIZE];

	if (!suffix || strcmp(suffix, SUFFIX) != 0 || suffix - dir > NAME_LEN_MAX)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(suffix - dir), dir);
	if (!name_is_valid(name))
		return false;
	memcpy(ret, name, NAME_SIZE);
	return true;
}

static struct disk_limits quota_of(uint64_t bytes)
{
	return (struct disk_limits){.bytes = bytes, .inodes = LIMIT_UNSET};
}

struct volume_dir {
	int tenant_fd;
	int fd;
};

static void volume_dir_close(struct volume_dir *dir)
{
	close_fd(&dir->tenant_fd);
	close_fd(&dir->fd);
}

static int open_dir(struct pool *pool, const char *tenant, const char *volume,
	struct volume_dir *ret, struct err *err)
{
	char name[DIR_SIZE];
	int r = dir_name(volume, name, err);

	if (r == 0)
		r = pool_open_tenant(pool, tenant, &ret->tenant_fd, err);
	if (r < 0)
		return r;
	ret->fd = openat(ret->tenant_fd, name, OPEN_DIR);
	if (ret->fd >= 0)
		return 0;
	if (errno == ENOENT)
		return err_set(
			err, ERR_NOT_FOUND, "NOT_IN_POOL", "the pool has no volume \"%s\"", volume);
	return err_sys(err, errno, "open the volume's directory in the pool");
}

/* Seen from inside it is the root of a file system, so everyone there must pass. */
static int make_data(struct pool *pool, int dir_fd, struct err *err)
{
	int r = mkdirat(dir_fd, DATA_DIR, 0755) < 0 ? -errno : 0;

	if (r == 0)
		r = fchmodat(dir_fd, DATA_DIR, 0755, 0) < 0 ? -errno : 0;
	if (r < 0)
		return pool_write_failed(pool->root_fd, r, "make the volume's directory", err);
	return syncfs(dir_fd) < 0 ? err_sys(err, errno, "write the volume to the disk") : 0;
}

static int fill(struct pool *pool, int tenant_fd, const char *name, const struct disk_limits *quota,
	struct err *err)
{
	_cleanup_close_ int fd = openat(tenant_fd, name, OPEN_DIR);
	struct pool_target target = {pool->root_fd, tenant_fd, fd};
	int r;

	if (fd < 0)
		return err_sys(err, errno, "open the volume's directory in the pool");
	r = pool->ops->set_limit(&target, quota, err);
	return r < 0 ? r : make_data(pool, fd, err);
}

static int drop(struct pool *pool, int tenant_fd, const char *name, struct err *err)
{
	struct pool_entry entry = {pool->root_fd, tenant_fd, tenant_fd, name};

	return pool->ops->drop(&entry, false, err);
}

int pool_volume_make(
	struct pool *pool, const char *tenant, const char *volume, uint64_t bytes, struct err *err)
{
	const struct pool_new new = {.quota = quota_of(bytes), .instead_fd = -1};
	struct pool_entry entry = {.root_fd = pool->root_fd};
	_cleanup_close_ int tenant_fd = -1;
	char name[DIR_SIZE];
	struct stat st;
	int r = dir_name(volume, name, err);

	if (r == 0)
		r = pool_refuse_limit(pool, &new.quota, err);
	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	if (r < 0)
		return r;
	if (fstatat(tenant_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, ERR_ALREADY_EXISTS, "VOLUME_EXISTS",
			"the pool has a volume %s already; choose another name", volume);
	entry.group_fd = entry.parent_fd = tenant_fd;
	entry.name = name;
	r = pool->ops->make(&entry, &new, err);
	if (r < 0)
		return r;
	r = fill(pool, tenant_fd, name, &new.quota, err);
	if (r < 0)
		drop(pool, tenant_fd, name, NULL);
	return r;
}

int pool_volume_open(
	struct pool *pool, const char *tenant, const char *volume, int *ret_fd, struct err *err)
{
	_cleanup_(volume_dir_close) struct volume_dir dir = {-1, -1};
	int r = open_dir(pool, tenant, volume, &dir, err);

	if (r < 0)
		return r;
	*ret_fd = openat(dir.fd, DATA_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, errno, "open the volume") : 0;
}

int pool_volume_remove(struct pool *pool, const char *tenant, const char *volume, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	char name[DIR_SIZE];
	struct err ignored;
	int r = dir_name(volume, name, err);

	if (r == 0)
		r = name_check("tenant", tenant, err);
	if (r < 0)
		return r;
	r = pool_open_tenant(pool, tenant, &tenant_fd, &ignored);
	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(err, r, "open the tenant's directory");
	return drop(pool, tenant_fd, name, err);
}

int pool_volume_set_limit(struct pool *pool, const char *tenant, const char *volume, uint64_t bytes,
	bool force, struct err *err)
{
	const struct disk_limits quota = quota_of(bytes);
	_cleanup_(volume_dir_close) struct volume_dir dir = {-1, -1};
	struct pool_target target;
	int r = pool_refuse_limit(pool, &quota, err);

	if (r == 0)
		r = open_dir(pool, tenant, volume, &dir, err);
	target = (struct pool_target){pool->root_fd, dir.tenant_fd, dir.fd};
	if (r == 0 && !force)
		r = pool_check_above_use(pool, &target, &quota, &quota, err);
	return r < 0 ? r : pool->ops->set_limit(&target, &quota, err);
}

int pool_volume_usage(struct pool *pool, const char *tenant, const char *volume,
	struct disk_limits *ret, struct err *err)
{
	_cleanup_(volume_dir_close) struct volume_dir dir = {-1, -1};
	struct pool_target target;
	int r = open_dir(pool, tenant, volume, &dir, err);

	target = (struct pool_target){pool->root_fd, dir.tenant_fd, dir.fd};
	return r < 0 ? r : pool->ops->usage(&target, false, ret, err);
}
