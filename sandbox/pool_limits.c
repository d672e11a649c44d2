/*
 * The limits of what is in a pool, and what it has in use; see pool.h. Must never refuse to go on
 * with a limit that holds already, however much is in use.
 */
#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/pool_internal.h"

#include <fcntl.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* What a limit or a measurement is about. container "": the tenant. */
struct scope {
	int tenant_fd;
	int container_fd;
};

static void scope_close(struct scope *scope)
{
	close_fd(&scope->tenant_fd);
	close_fd(&scope->container_fd);
}

static int open_scope(struct pool *pool, const char *tenant, const char *container,
	struct scope *ret, struct pool_target *ret_target, struct err *err)
{
	int r = pool_open_tenant(pool, tenant, &ret->tenant_fd, err);

	if (r == 0 && container[0])
		r = pool_open_named(
			ret->tenant_fd, "container", container, OPEN_DIR, &ret->container_fd, err);
	*ret_target = (struct pool_target){pool->root_fd, ret->tenant_fd, ret->container_fd};
	return r;
}

static int refuse_below_use(
	struct pool *pool, uint64_t used, uint64_t limit, enum limit_id id, struct err *err)
{
	char used_text[LIMIT_TEXT_MAX];
	char limit_text[LIMIT_TEXT_MAX];

	return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_USE",
		limit_rule(id)->name,
		"%s%s are in use%s, more than the new limit of %s; remove files first, or force "
		"it, and further writes fail",
		limit_format(id, used, used_text), id == LIMIT_DISK ? " of disk" : " inodes",
		pool->ops->sets_aside ? " or set aside" : "", limit_format(id, limit, limit_text));
}

/* Only who is to hold less than before needs the exact figure, which costs a commit. */
static bool is_lower(
	struct pool *pool, const struct pool_target *target, const struct disk_limits *held)
{
	struct disk_limits used;
	struct disk_limits before;

	if (pool->ops->fill(target, &used, &before, NULL) < 0)
		return true;
	return held->bytes < before.bytes || held->inodes < before.inodes;
}

int pool_check_above_use(struct pool *pool, const struct pool_target *target,
	const struct disk_limits *held, const struct disk_limits *quota, struct err *err)
{
	struct disk_limits used;
	int r;

	if (!pool->ops->has_limits || (quota->bytes == LIMIT_UNSET && quota->inodes == LIMIT_UNSET))
		return 0;
	if (!is_lower(pool, target, held))
		return 0;
	r = pool->ops->usage(target, true, &used, err);
	if (r == 0 && used.bytes > held->bytes)
		return refuse_below_use(pool, used.bytes, quota->bytes, LIMIT_DISK, err);
	if (r == 0 && used.inodes > held->inodes)
		return refuse_below_use(pool, used.inodes, quota->inodes, LIMIT_INODES, err);
	return r;
}

int pool_set_limit(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, bool force, struct err *err)
{
	_cleanup_(scope_close) struct scope scope = {-1, -1};
	struct disk_limits held = *quota;
	struct pool_target target;
	int r = pool_refuse_limit(pool, quota, err);

	if (r == 0)
		r = open_scope(pool, tenant, container, &scope, &target, err);
	if (r == 0 && container[0])
		held = pool_own_limit(scope.tenant_fd, container, quota);
	if (r == 0 && !force)
		r = pool_check_above_use(pool, &target, &held, quota, err);
	return r < 0 ? r : pool->ops->set_limit(&target, &held, err);
}

int pool_usage(struct pool *pool, const char *tenant, const char *container,
	struct disk_limits *ret, struct err *err)
{
	_cleanup_(scope_close) struct scope scope = {-1, -1};
	struct pool_target target;
	int r = open_scope(pool, tenant, container, &scope, &target, err);

	return r < 0 ? r : pool->ops->usage(&target, false, ret, err);
}

int pool_tenant_check(
	struct pool *pool, const char *tenant, const struct disk_limits *quota, struct err *err)
{
	_cleanup_(scope_close) struct scope scope = {-1, -1};
	struct pool_target target;
	struct err inner;
	int r = open_scope(pool, tenant, "", &scope, &target, &inner);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_sys(err, r, "open the tenant's directory");
	return pool_check_above_use(pool, &target, quota, quota, err);
}
