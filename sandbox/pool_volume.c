/* Volumes in the pool; see pool_volume.h. Must never follow a link that a tenant could make. */
#include "sandbox/pool_volume.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/pool_internal.h"

#include <fcntl.h>
#include <stdio.h>
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

static int open_dir(
	struct pool *pool, const char *tenant, const char *volume, int *ret_fd, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	char name[DIR_SIZE];
	int r = dir_name(volume, name, err);

	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	if (r < 0)
		return r;
	*ret_fd = openat(tenant_fd, name, OPEN_DIR);
	if (*ret_fd >= 0)
		return 0;
	if (errno == ENOENT)
		return err_set(
			err, ERR_NOT_FOUND, "NOT_IN_POOL", "the pool has no volume \"%s\"", volume);
	return err_sys(err, errno, "open the volume's directory in the pool");
}

/* Seen from inside it is the root of a file system, so everyone there must pass. */
static int make_data(int dir_fd, struct err *err)
{
	int r = mkdirat(dir_fd, DATA_DIR, 0755) < 0 ? -errno : 0;

	if (r == -EDQUOT)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "DISK_LIMIT", "disk",
			"the tenant's disk is full: there is no room for a volume; remove files, "
			"or "
			"raise its limit");
	if (r < 0 || fchmodat(dir_fd, DATA_DIR, 0755, 0) < 0)
		return err_sys(err, r < 0 ? r : errno, "make the volume's directory");
	return syncfs(dir_fd) < 0 ? err_sys(err, errno, "write the volume to the disk") : 0;
}

static int fill(struct pool *pool, int tenant_fd, const char *name, uint64_t bytes, struct err *err)
{
	_cleanup_close_ int fd = openat(tenant_fd, name, OPEN_DIR);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "open the volume's directory in the pool");
	r = pool->ops->set_limit(pool->root_fd, fd, POOL_SCOPE_DIR, bytes, err);
	return r < 0 ? r : make_data(fd, err);
}

int pool_volume_make(
	struct pool *pool, const char *tenant, const char *volume, uint64_t bytes, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	char name[DIR_SIZE];
	struct stat st;
	int r = dir_name(volume, name, err);

	if (r == 0)
		r = pool_refuse_limit(pool, bytes, err);
	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	if (r < 0)
		return r;
	if (fstatat(tenant_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, ERR_ALREADY_EXISTS, "VOLUME_EXISTS",
			"the pool has a volume %s already; choose another name", volume);
	r = pool->ops->make(tenant_fd, name, tenant_fd, err);
	if (r < 0)
		return r;
	r = fill(pool, tenant_fd, name, bytes, err);
	if (r < 0)
		pool->ops->drop(tenant_fd, name, false, NULL);
	return r;
}

int pool_volume_open(
	struct pool *pool, const char *tenant, const char *volume, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_dir(pool, tenant, volume, &fd, err);

	if (r < 0)
		return r;
	*ret_fd = openat(fd, DATA_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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
	return pool->ops->drop(tenant_fd, name, false, err);
}

int pool_volume_set_limit(struct pool *pool, const char *tenant, const char *volume, uint64_t bytes,
	bool force, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = pool_refuse_limit(pool, bytes, err);

	if (r == 0)
		r = open_dir(pool, tenant, volume, &fd, err);
	if (r == 0 && !force && bytes != LIMIT_UNSET)
		r = pool_check_above_use(pool, fd, POOL_SCOPE_DIR, bytes, bytes, err);
	return r < 0 ? r : pool->ops->set_limit(pool->root_fd, fd, POOL_SCOPE_DIR, bytes, err);
}

int pool_volume_usage(struct pool *pool, const char *tenant, const char *volume,
	uint64_t *ret_bytes, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_dir(pool, tenant, volume, &fd, err);

	return r < 0 ? r : pool->ops->usage(fd, POOL_SCOPE_DIR, false, ret_bytes, err);
}
