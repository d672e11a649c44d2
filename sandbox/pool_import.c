/*
 * A container's files from elsewhere, made beside its name (see pool_snapshot.h), which they take
 * only when they are whole and on the disk.
 */
#include "sandbox/pool_snapshot.h"

#include "base/cleanup.h"
#include "sandbox/pool_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int exists(const char *container, struct err *err)
{
	return err_set(err, ERR_ALREADY_EXISTS, "CONTAINER_EXISTS",
		"there is a container %s already", container);
}

static struct pool_entry new_entry(const struct pool *pool, int tenant_fd, const char *container,
	char name[static POOL_COMPANION_SIZE])
{
	pool_companion(container, POOL_NEW_SUFFIX, name);
	return (struct pool_entry){pool->root_fd, tenant_fd, tenant_fd, name};
}

static int make_new(struct pool *pool, int tenant_fd, const char *container,
	const struct disk_limits *quota, int *ret_fd, struct err *err)
{
	char name[POOL_COMPANION_SIZE];
	struct pool_entry entry = new_entry(pool, tenant_fd, container, name);
	struct pool_new new = {.quota = *quota, .instead_fd = -1};
	_cleanup_close_ int fd = -1;
	/* Also the snapshots of an import that was cut off: there is no container to have any. */
	int r = pool_drop_companions(pool, tenant_fd, container, err);

	if (r == 0)
		r = pool->ops->make(&entry, &new, err);
	if (r < 0)
		return r;
	fd = openat(tenant_fd, name, OPEN_DIR);
	if (fd < 0)
		return err_sys(err, errno, "open the container's new directory");
	r = pool_make_layers(pool, fd, err);
	if (r == 0)
		r = pool->ops->set_limit(
			&(struct pool_target){pool->root_fd, tenant_fd, fd}, quota, err);
	if (r < 0)
		return r;
	*ret_fd = openat(fd, "upper", OPEN_DIR);
	return *ret_fd < 0 ? err_sys(err, errno, "open the container's upper directory") : 0;
}

int pool_import_begin(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, int *ret_fd, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	struct stat st;
	int r = name_check("container", container, err);

	if (r == 0)
		r = pool_refuse_limit(pool, quota, err);
	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	if (r < 0)
		return r;
	if (fstatat(tenant_fd, container, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return exists(container, err);
	return make_new(pool, tenant_fd, container, quota, ret_fd, err);
}

int pool_import_commit(
	struct pool *pool, const char *tenant, const char *container, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	char name[POOL_COMPANION_SIZE];
	int r = pool_open_tenant(pool, tenant, &tenant_fd, err);

	if (r < 0)
		return r;
	/* What the name stands for must be on the disk before the name is. */
	if (syncfs(pool->root_fd) < 0)
		return err_sys(err, errno, "write the container to the disk");
	pool_companion(container, POOL_NEW_SUFFIX, name);
	if (renameat2(tenant_fd, name, tenant_fd, container, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? exists(container, err)
				       : err_sys(err, errno, "name the container");
	return fsync(tenant_fd) < 0 ? err_sys(err, errno, "write the container's name") : 0;
}

int pool_import_snapshot(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, int *ret_fd, struct err *err)
{
	_cleanup_close_ int snapshots_fd = -1;
	_cleanup_close_ int tenant_fd = -1;
	_cleanup_close_ int fd = -1;
	struct pool_entry entry = {.root_fd = pool->root_fd, .name = snapshot};
	int r = name_check("snapshot", snapshot, err);

	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	if (r == 0)
		r = pool_snapshots_make(tenant_fd, container, &snapshots_fd, err);
	entry.group_fd = tenant_fd;
	entry.parent_fd = snapshots_fd;
	if (r == 0)
		r = pool->ops->make(&entry, &pool_new_plain, err);
	if (r < 0)
		return r;
	fd = openat(snapshots_fd, snapshot, OPEN_DIR);
	if (fd < 0)
		return err_sys(err, errno, "open the new snapshot");
	r = pool_make_layers(pool, fd, err);
	if (r < 0)
		return r;
	*ret_fd = openat(fd, "upper", OPEN_DIR);
	return *ret_fd < 0 ? err_sys(err, errno, "open the new snapshot's files") : 0;
}

int pool_import_seal(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, struct err *err)
{
	_cleanup_close_ int snapshots_fd = -1;
	_cleanup_close_ int tenant_fd = -1;
	_cleanup_close_ int fd = -1;
	int r = pool_open_tenant(pool, tenant, &tenant_fd, err);

	if (r == 0)
		r = pool_snapshots_make(tenant_fd, container, &snapshots_fd, err);
	if (r == 0)
		r = pool_open_named(snapshots_fd, "snapshot", snapshot, OPEN_DIR, &fd, err);
	return r < 0 ? r : pool->ops->seal(fd, err);
}

int pool_import_drop(struct pool *pool, const char *tenant, const char *container, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	char name[POOL_COMPANION_SIZE];
	struct pool_entry entry;
	struct stat st;
	int r = name_check("container", container, err);

	if (r == 0)
		r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	if (r < 0)
		return r;
	/* The snapshots of a container that is there are its own. */
	if (fstatat(tenant_fd, container, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return pool_drop_companions(pool, tenant_fd, container, err);
	entry = new_entry(pool, tenant_fd, container, name);
	return pool->ops->drop(&entry, false, err);
}
