/* Snapshots in memory: each belongs to its container, and goes with it. */
#pragma once

#include "server/model.h"

#define SNAPSHOTS_MAX	       128 /* of one container */
#define SNAPSHOT_RESOURCE_SIZE RESOURCE_SIZE

struct snapshot {
	struct map_node by_name;
	struct container *container;
	bool visible;		  /* its making is committed */
	bool dropping;		  /* it is being removed, or is to be */
	bool automatic;		  /* made by a schedule */
	int64_t expire_wall_usec; /* 0: never */
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	int64_t created_wall_usec;
	uint64_t size_bytes;
	/* The container's, as it was. */
	char image[NAME_SIZE];
	char policy[NAME_SIZE];
	struct limits limits;
	char **init_args; /* NULL-terminated; owned */
	bool with_init;
	bool oom_group;
};

/* Adds one that is not visible yet, with nothing of the container's. NULL when out of memory. */
struct snapshot *snapshot_add(struct container *container, const char *name);
/* Takes it out and frees it. */
void snapshot_remove(struct snapshot *snapshot);
void snapshot_remove_all(struct container *container);
/* Takes over what the container is. Returns 0 or -ENOMEM. */
int snapshot_describe(struct snapshot *snapshot, struct err *err);
/* Those that its container, or a copy, has from it now: within the tenant's, I/O as it is. */
void snapshot_limits(const struct snapshot *snapshot, struct limits *ret);

/* By name, whether visible or not; NULL: none. */
struct snapshot *snapshot_any(const struct container *container, const char *name);
/* A visible one by its resource name; NOT_FOUND. */
int snapshot_find(
	const struct model *model, const char *resource, struct snapshot **ret, struct err *err);
/* The next in order of (tenant, container, name); NULL when there are no more. */
struct snapshot *snapshot_next(const struct model *model, const struct snapshot *prev);
/* How many of a container there are to see. */
size_t snapshot_count(const struct container *container);
/* How many snapshots are of an image. */
uint32_t snapshot_image_users(const struct model *model, const char *image);
