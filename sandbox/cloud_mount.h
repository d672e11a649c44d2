/* The files of cloud_seed.h in a container: mounted at each of its starts, never on its disk. */
#pragma once

#include "base/err.h"

/*
 * Mounts what the memfd holds at CLOUD_SEED_PATH below the container's root: a file system of its
 * own, read-only, whose files its root alone reads. As the root of the outer user namespace, before
 * init exists, so that it is locked as all mounts are. FAILED_PRECONDITION /
 * CLOUD_INIT_PATH_INVALID where something is in the way.
 */
int cloud_mount(int seed_fd, int root_fd, struct err *err);
