/*
 * What an export is made of: the container's files laid over its image, in a tree of their own that
 * nobody else writes to; see pool_snapshot.h. Must never leave one behind when the pool is
 * attached.
 */
#include "sandbox/pool_snapshot.h"

#include "base/cleanup.h"
#include "sandbox/pool_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define OPEN_DIR      (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define EXPORT_SUFFIX ".export"

static int drop_copy(struct pool *pool, int tenant_fd, const char *container, struct err *err)
{
	char name[POOL_COMPANION_SIZE];
	struct pool_entry entry = {pool->root_fd, tenant_fd, tenant_fd, name};

	pool_companion(container, POOL_NEW_SUFFIX, name);
	return pool->ops->drop(&entry, false, err);
}

/* What is laid over the image is of no group: little of it is written. */
static struct pool_entry export_entry(
	struct pool *pool, const char *tenant, char name[static POOL_COMPANION_SIZE])
{
	pool_companion(tenant, EXPORT_SUFFIX, name);
	return (struct pool_entry){pool->root_fd, -1, pool->incoming_fd, name};
}

int pool_export_copy(struct pool *pool, const char *tenant, const char *container, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	_cleanup_close_ int fd = -1;
	char name[POOL_COMPANION_SIZE];
	struct pool_entry entry = {
		.root_fd = pool->root_fd, .name = name, .reading = pool->reading};
	int r = pool_open_tenant(pool, tenant, &tenant_fd, err);

	if (r == 0)
		r = pool_open_named(tenant_fd, "container", container, OPEN_DIR, &fd, err);
	if (r == 0)
		r = drop_copy(pool, tenant_fd, container, err);
	pool_companion(container, POOL_NEW_SUFFIX, name);
	entry.group_fd = entry.parent_fd = tenant_fd;
	return r < 0 ? r : pool->ops->clone(fd, &entry, &pool_new_plain, true, err);
}

static int open_copy(int tenant_fd, const char *container, int *ret_fd, struct err *err)
{
	char name[POOL_COMPANION_SIZE];
	_cleanup_close_ int fd = -1;

	pool_companion(container, POOL_NEW_SUFFIX, name);
	fd = openat(tenant_fd, name, OPEN_DIR);
	*ret_fd = fd < 0 ? -1 : openat(fd, "upper", OPEN_DIR);
	return *ret_fd < 0 ? err_sys(err, errno, "open the copy of the container") : 0;
}

static int make_base(
	struct pool *pool, const char *tenant, const char *base, int *ret_fd, struct err *err)
{
	char name[POOL_COMPANION_SIZE];
	int r;

	pool_companion(tenant, EXPORT_SUFFIX, name);
	r = pool_clone_base(pool, base, name, err);
	if (r < 0)
		return r;
	*ret_fd = openat(pool->incoming_fd, name, OPEN_DIR);
	return *ret_fd < 0 ? err_sys(err, errno, "open the export's directory") : 0;
}

int pool_export_merge(struct pool *pool, const char *tenant, const char *container,
	const char *base, int *ret_fd, struct err *err)
{
	static const struct tree_copy_options over = {.merge = true};
	_cleanup_close_ int tenant_fd = -1;
	_cleanup_close_ int upper = -1;
	_cleanup_close_ int fd = -1;
	int r = pool_open_tenant(pool, tenant, &tenant_fd, err);

	if (r == 0)
		r = open_copy(tenant_fd, container, &upper, err);
	if (r == 0)
		r = make_base(pool, tenant, base, &fd, err);
	if (r == 0)
		r = tree_copy(upper, fd, &over, NULL, err);
	close_fd(&upper);
	if (r == 0)
		r = drop_copy(pool, tenant_fd, container, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int pool_export_merge_snapshot(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const char *base, int *ret_fd, struct err *err)
{
	static const struct tree_copy_options over = {.merge = true};
	_cleanup_close_ int upper = -1;
	_cleanup_close_ int fd = -1;
	int r = pool_snapshot_open_upper(pool, tenant, container, snapshot, &upper, err);

	if (r == 0)
		r = make_base(pool, tenant, base, &fd, err);
	if (r == 0)
		r = tree_copy(upper, fd, &over, NULL, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int pool_export_drop(struct pool *pool, const char *tenant, const char *container, struct err *err)
{
	_cleanup_close_ int tenant_fd = -1;
	char name[POOL_COMPANION_SIZE];
	struct pool_entry entry = export_entry(pool, tenant, name);
	int r = name_check("tenant", tenant, err);

	if (r == 0)
		r = pool->ops->drop(&entry, false, err);
	if (r < 0 || !container)
		return r;
	r = pool_open_tenant(pool, tenant, &tenant_fd, err);
	return r < 0 ? r : drop_copy(pool, tenant_fd, container, err);
}

int pool_export_drop_all(struct pool *pool, struct err *err)
{
	int fd = openat(pool->incoming_fd, ".", OPEN_DIR);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return err_sys(err, errno, "list what exports have left");
	while (r == 0 && (entry = readdir(dir))) {
		const char *dot = strchr(entry->d_name, '.');
		struct pool_entry left = {pool->root_fd, -1, pool->incoming_fd, entry->d_name};

		if (dot && !strcmp(dot, EXPORT_SUFFIX))
			r = pool->ops->drop(&left, false, err);
	}
	return r;
}
