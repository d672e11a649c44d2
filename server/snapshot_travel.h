/* Snapshots that go with their container into a file, and come with it out of one. */
#pragma once

#include "sandbox/supervisor_client.h"
#include "server/snapshot.h"

struct snapshots_packed {
	char container[NAME_SIZE]; /* its name then */
	struct snapshot_list list;
	char uids[SNAPSHOT_LIST_MAX][UID_SIZE];
};

/* What there is to see of the container's now; heap, the caller's. NULL when out of memory. */
struct snapshots_packed *snapshots_pack(const struct container *container);
/* Whether all of them are still there, under the names that they had. */
bool snapshots_are_there(const struct container *container, const struct snapshots_packed *packed);

/*
 * Gives a container that was just imported what came with it, in the model, as it would have them
 * had it been made with its present settings. fd: the supervisor's list. Returns 0 or -errno; in
 * either case they go with the container.
 */
int snapshots_unpack(struct container *container, int fd, struct err *err);
