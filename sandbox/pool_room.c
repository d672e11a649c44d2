/* Room for the start of what has filled its disk; see pool_room.h. Must leave no limit raised. */
#include "sandbox/pool_room.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/pool_internal.h"

#include <fcntl.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void close_room(struct pool_room *room)
{
	close_fd(&room->dir_fd);
	close_fd(&room->tenant_fd);
	close_fd(&room->lock_fd);
}

/* Two at once in one tenant would end each other's. */
static int take_lock(struct pool_room *room, struct err *err)
{
	int r;

	room->lock_fd = openat(room->pool->tenants_fd, ".", OPEN_DIR);
	if (room->lock_fd < 0)
		return err_sys(err, errno, "open the pool's tenants");
	r = fd_lock(room->lock_fd);
	return r < 0 ? err_sys(err, r, "wait for another start") : 0;
}

static int stretch(const struct pool_room *room, bool more, struct err *err)
{
	const struct pool_target target = {room->pool->root_fd, room->tenant_fd, room->dir_fd};
	const struct pool_ops *ops = room->pool->ops;

	return ops->stretch ? ops->stretch(&target, &room->own, more, err) : 0;
}

int pool_room_begin(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *own, struct pool_room *ret, struct err *err)
{
	struct pool_room room = {.pool = pool, .lock_fd = -1, .tenant_fd = -1, .dir_fd = -1};
	int r = take_lock(&room, err);

	if (r == 0)
		r = pool_open_tenant(pool, tenant, &room.tenant_fd, err);
	if (r == 0)
		r = pool_open_named(
			room.tenant_fd, "container", container, OPEN_DIR, &room.dir_fd, err);
	if (r == 0) {
		room.own = pool_own_limit(room.tenant_fd, container, own);
		r = stretch(&room, true, err);
		if (r < 0)
			stretch(&room, false, NULL);
	}
	if (r < 0) {
		close_room(&room);
		return r;
	}
	*ret = room;
	return 0;
}

int pool_room_end(struct pool_room *room, struct err *err)
{
	int r = stretch(room, false, err);

	close_room(room);
	return r;
}
