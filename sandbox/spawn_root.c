/*
 * A container's root, mounted by its builder: also where its disk is full. Must leave limits as
 * they were.
 */
#include "sandbox/spawn_internal.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/pool_room.h"
#include "sandbox/rootfs.h"

#include <string.h>

static int mount_in_room(
	const struct spawn_request *rq, struct rootfs_layers *layers, int *ret_fd, struct err *err)
{
	const struct msg_container_start *msg = &rq->msg;
	struct disk_limits own = limits_disk(&msg->limits);
	struct pool_room room;
	struct err inner;
	int r = pool_room_begin(rq->pool, msg->tenant, msg->container, &own, &room, err);

	if (r < 0)
		return r;
	r = rootfs_mount(layers, ret_fd, err);
	/* Its next start puts it right; and croftd the tenant's, whenever it connects. */
	if (pool_room_end(&room, &inner) < 0)
		log_error("limits-not-put-back tenant=%s container=%s error=\"%s\"", msg->tenant,
			msg->container, inner.msg);
	return r;
}

int spawn_mount_root(
	const struct spawn_request *rq, int userns_fd, uid_t id_base, int *ret_fd, struct err *err)
{
	const struct msg_container_start *msg = &rq->msg;
	_cleanup_close_ int image = -1;
	_cleanup_close_ int upper = -1;
	struct rootfs_layers layers;
	struct err first;
	int r = pool_base_open(rq->pool, msg->image, &image, err);

	if (r == 0)
		r = pool_upper_open(rq->pool, msg->tenant, msg->container, &upper, err);
	if (r == 0)
		r = rootfs_layers_open(&layers, image, upper, userns_fd, id_base, err);
	if (r < 0)
		return r;
	r = rootfs_mount(&layers, ret_fd, &first);
	if (r < 0 && !strcmp(first.reason, ROOTFS_READ_ONLY))
		r = mount_in_room(rq, &layers, ret_fd, err);
	else if (r < 0 && err)
		*err = first;
	rootfs_layers_close(&layers);
	return r;
}
