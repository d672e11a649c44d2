/* The volumes of the model, and who has them mounted; see volume.h. */
#include "server/volume.h"

#include "server/held.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

struct volume *volume_add(struct tenant *t, const char *name)
{
	struct volume *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->tenant = t;
	v->size_bytes = LIMIT_UNSET;
	v->created_wall_usec = clock_wall_usec();
	held_begin(&v->held);
	snprintf(v->name, sizeof(v->name), "%s", name);
	model_make_uid(v->uid);
	map_insert(&t->volumes, &v->by_name, v->name);
	return v;
}

void volume_remove(struct volume *v)
{
	map_remove(&v->tenant->volumes, &v->by_name);
	free(v);
}

void volume_remove_all(struct tenant *t)
{
	struct map_node *node;

	while ((node = map_after(&t->volumes, "")))
		volume_remove(map_object(node, struct volume, by_name));
}

struct volume *volume_any(const struct tenant *t, const char *name)
{
	struct map_node *node = map_find(&t->volumes, name);

	return node ? map_object(node, struct volume, by_name) : NULL;
}

int volume_find(
	const struct model *model, const char *resource, struct volume **ret, struct err *err)
{
	char parent[RESOURCE_SIZE];
	char name[NAME_SIZE];
	struct volume *v;
	struct tenant *t;
	int r = name_split_child(resource, "volumes", parent, name, err);

	if (r == 0)
		r = model_find_tenant(model, parent, &t, err);
	if (r < 0)
		return r;
	v = volume_any(t, name);
	if (!v || !v->visible)
		return err_set(err, ERR_NOT_FOUND, "VOLUME_NOT_FOUND", "tenant %s has no volume %s",
			t->name, name);
	*ret = v;
	return 0;
}

void volume_resource_name(const struct volume *v, char ret[static RESOURCE_SIZE])
{
	snprintf(ret, RESOURCE_SIZE, "tenants/%s/volumes/%s", v->tenant->name, v->name);
}

const struct container *volume_next_user(const struct volume *v, const struct container *prev)
{
	struct map_node *node = map_after(&v->tenant->containers, prev ? prev->name : "");

	for (; node; node = map_after(&v->tenant->containers, node->key)) {
		const struct container *c = map_object(node, struct container, by_name);

		for (size_t i = 0; i < c->n_mounts; i++)
			if (c->mounts[i].volume == v)
				return c;
	}
	return NULL;
}

int volume_check_tenant(const struct tenant *t, const struct limits *limits, struct err *err)
{
	struct map_node *node;

	MAP_FOREACH(node, &t->volumes)
	{
		const struct volume *v = map_object(node, struct volume, by_name);
		char size[LIMIT_TEXT_MAX];

		if (v->size_bytes == LIMIT_UNSET || v->size_bytes <= limits->value[LIMIT_DISK])
			continue;
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD", "disk",
			"volume %s/%s stands in the way: it may hold %s; make that less first",
			t->name, v->name, size_format(v->size_bytes, size));
	}
	return 0;
}

void volume_fill_mounts(const struct container *c, struct msg_container_start *msg)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct container_mount *from = &c->mounts[i];
		struct msg_mount *to = &msg->mounts[i];

		memcpy(to->name, from->volume ? from->volume->name : from->host_dir,
			sizeof(to->name));
		memcpy(to->path, from->path, sizeof(to->path));
		to->host = !from->volume;
		to->read_only = from->read_only;
	}
	msg->n_mounts = (uint8_t)c->n_mounts;
}

/* --- a container's mounts --- */

struct container_mount *container_mount_add(
	struct container *c, const struct container_mount *mount)
{
	size_t at = c->n_mounts;

	while (at > 0 && strcmp(c->mounts[at - 1].path, mount->path) > 0)
		at--;
	memmove(&c->mounts[at + 1], &c->mounts[at], (c->n_mounts - at) * sizeof(*mount));
	c->mounts[at] = *mount;
	c->n_mounts++;
	return &c->mounts[at];
}

void container_mount_remove(struct container *c, const char *path)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		if (strcmp(c->mounts[i].path, path) != 0)
			continue;
		c->n_mounts--;
		memmove(&c->mounts[i], &c->mounts[i + 1], (c->n_mounts - i) * sizeof(c->mounts[0]));
		return;
	}
}

void container_mount_copy(const struct container *from, struct container *to)
{
	for (size_t i = 0; i < from->n_mounts; i++)
		if (from->mounts[i].volume)
			to->mounts[to->n_mounts++] = from->mounts[i];
}
