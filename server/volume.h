/* Volumes in memory: each belongs to its tenant, and stays as long as a container has it. */
#pragma once

#include "server/model.h"

#define VOLUMES_MAX 64 /* of one tenant */

struct volume {
	struct map_node by_name;
	struct tenant *tenant;
	bool visible;  /* its making is committed */
	bool dropping; /* it is being removed, or is to be */
	bool changing; /* volume_op.c is at it */
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	uint64_t size_bytes; /* LIMIT_UNSET: its tenant's */
	int64_t created_wall_usec;
	uint64_t used_bytes; /* as last measured */
	struct held held;
	bool enforced;
};

/* Adds one that is not visible yet. NULL when out of memory. */
struct volume *volume_add(struct tenant *tenant, const char *name);
/* Takes it out and frees it. */
void volume_remove(struct volume *volume);
void volume_remove_all(struct tenant *tenant);

/* By name, whether visible or not; NULL: none. */
struct volume *volume_any(const struct tenant *tenant, const char *name);
/* A visible one by its resource name; NOT_FOUND. */
int volume_find(
	const struct model *model, const char *resource, struct volume **ret, struct err *err);
/* "tenants/{t}/volumes/{v}" */
void volume_resource_name(const struct volume *volume, char ret[static RESOURCE_SIZE]);

/* The next container in order of names that has it mounted; prev NULL: the first. NULL: none. */
const struct container *volume_next_user(const struct volume *volume, const struct container *prev);
/* LIMIT_BELOW_CHILD when a volume's size is above what its tenant is to have. */
int volume_check_tenant(const struct tenant *tenant, const struct limits *limits, struct err *err);

/* What a container has mounted, for the supervisor. */
void volume_fill_mounts(const struct container *container, struct msg_container_start *msg);

/* --- a container's mounts, kept in order of their paths --- */

/* Adds one for which there is room and whose place is free. Returns it. */
struct container_mount *container_mount_add(
	struct container *container, const struct container_mount *mount);
void container_mount_remove(struct container *container, const char *path);
/* What a copy of the container has mounted: volumes, which are its tenant's anyhow. */
void container_mount_copy(const struct container *from, struct container *to);
