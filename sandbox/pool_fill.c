/* Looking for full disks; see pool_fill.h. Must never write, nor wait for a commit. */
#include "sandbox/pool_fill.h"

#include "base/cleanup.h"
#include "sandbox/pool_internal.h"
#include "sandbox/pool_volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

#define PART	   64
#define BYTES_MIN  (2ull << 20)
#define BYTES_MAX  (64ull << 20)
#define INODES_MIN 4
#define INODES_MAX 1024

static enum disk_state state_of(uint64_t used, uint64_t limit, uint64_t min, uint64_t max)
{
	uint64_t left = limit > used ? limit - used : 0;
	uint64_t little = limit / PART;

	if (limit == LIMIT_UNSET)
		return DISK_ROOM;
	if (little < min)
		little = min;
	if (little > max)
		little = max;
	if (left >= 2 * little)
		return DISK_ROOM;
	return left < little ? DISK_FULL : DISK_LITTLE;
}

enum disk_state pool_fill_state(const struct disk_limits *used, const struct disk_limits *limit)
{
	enum disk_state bytes = state_of(used->bytes, limit->bytes, BYTES_MIN, BYTES_MAX);
	enum disk_state inodes = state_of(used->inodes, limit->inodes, INODES_MIN, INODES_MAX);

	if (bytes == DISK_FULL || inodes != DISK_FULL)
		return bytes > inodes ? bytes : inodes;
	return DISK_INODES_FULL;
}

struct look {
	struct pool *pool;
	bool all;
	void (*tell)(const struct pool_fill *fill, void *arg);
	void *arg;
	const char *tenant;
};

static void look_at(struct look *look, const struct pool_target *target, enum disk_owner owner,
	const char *name)
{
	struct pool_fill fill = {.owner = owner};

	/* What is not as it will be is looked at the next time. */
	if (look->pool->ops->fill(target, &fill.used, &fill.limit, NULL) < 0)
		return;
	fill.state = pool_fill_state(&fill.used, &fill.limit);
	if (fill.state == DISK_ROOM && !look->all)
		return;
	snprintf(fill.tenant, NAME_SIZE, "%.*s", NAME_LEN_MAX, look->tenant);
	snprintf(fill.name, NAME_SIZE, "%.*s", NAME_LEN_MAX, name);
	look->tell(&fill, look->arg);
}

static void look_at_entry(struct look *look, int tenant_fd, const char *entry)
{
	enum disk_owner owner = DISK_OF_CONTAINER;
	_cleanup_close_ int fd = -1;
	char name[NAME_SIZE];

	if (pool_volume_of_dir(entry, name))
		owner = DISK_OF_VOLUME;
	else if (name_is_valid(entry))
		snprintf(name, NAME_SIZE, "%.*s", NAME_LEN_MAX, entry);
	else
		return;
	fd = openat(tenant_fd, entry, OPEN_DIR);
	if (fd >= 0)
		look_at(look, &(struct pool_target){look->pool->root_fd, tenant_fd, fd}, owner,
			name);
}

static void look_at_tenant(struct look *look)
{
	int fd = openat(look->pool->tenants_fd, look->tenant, OPEN_DIR);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
	look_at(look, &(struct pool_target){look->pool->root_fd, fd, -1}, DISK_OF_TENANT, "");
	while ((entry = readdir(dir)))
		look_at_entry(look, fd, entry->d_name);
}

int pool_fill_look(struct pool *pool, bool all,
	void (*tell)(const struct pool_fill *fill, void *arg), void *arg, struct err *err)
{
	struct look look = {.pool = pool, .all = all, .tell = tell, .arg = arg};
	int fd = openat(pool->tenants_fd, ".", OPEN_DIR);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir)
		return err_sys(err, errno, "list the pool's tenants");
	while (pool->ops->fill && (entry = readdir(dir))) {
		look.tenant = entry->d_name;
		if (name_is_valid(look.tenant))
			look_at_tenant(&look);
	}
	return 0;
}
