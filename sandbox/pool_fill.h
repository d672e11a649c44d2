/*
 * Who has filled its disk. Neither file system says so by itself for each owner of limit, so the
 * figures are looked at: those of the file system's last commit, which on btrfs is up to half a
 * minute old, and none older once a write was refused.
 */
#pragma once

#include "sandbox/pool.h"
#include "sandbox/protocol.h"

struct pool_fill {
	char tenant[NAME_SIZE];
	char name[NAME_SIZE]; /* of the container or volume; "" */
	enum disk_owner owner;
	enum disk_state state;
	struct disk_limits used;
	struct disk_limits limit;
};

/*
 * Full is where a larger write fails: less is left than a 64th of the limit, though not less than
 * 2 MiB and not more than 64; of inodes, than 4 and 1024. Twice as much is room again. DISK_FULL
 * goes before DISK_INODES_FULL.
 */
enum disk_state pool_fill_state(const struct disk_limits *used, const struct disk_limits *limit);

/*
 * Tells of each tenant, container and volume whose own limit leaves it less than room, or (all) of
 * every one that the file system counts for. What is being made or removed meanwhile may be left
 * out. Returns 0 or -errno.
 */
int pool_fill_look(struct pool *pool, bool all,
	void (*tell)(const struct pool_fill *fill, void *arg), void *arg, struct err *err);
