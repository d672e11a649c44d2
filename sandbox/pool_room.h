/*
 * Room to start in. Mounting an overlay writes a little to its work directory, and where a
 * container or its tenant has filled its disk, nothing can be written: it could not be started
 * again, and so nobody could go in and remove files. So both may hold a little more for as long as
 * that takes.
 */
#pragma once

#include "sandbox/pool.h"

struct pool_room {
	struct pool *pool;
	int lock_fd;
	int tenant_fd;
	int dir_fd;
	struct disk_limits own;
};

/*
 * Raises the limits of a container's directory and of its tenant; own: the container's, as
 * configured. Waits for whoever else is starting in such a way. A caller that is killed leaves them
 * raised by that little, until either limit is set again or the next such start. On a driver
 * without limits it does nothing.
 */
int pool_room_begin(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *own, struct pool_room *ret, struct err *err);
/* Puts both back, and closes what begin opened. */
int pool_room_end(struct pool_room *room, struct err *err);
