/* The snapshots of the model; see snapshot.h. Must never outlive their container. */
#include "server/snapshot.h"

#include "base/cleanup.h"
#include "server/container_new.h"
#include "server/init_args.h"

#include <string.h>

struct snapshot *snapshot_add(struct container *c, const char *name)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->container = c;
	snprintf(s->name, sizeof(s->name), "%s", name);
	model_make_uid(s->uid);
	limits_init(&s->limits);
	map_insert(&c->snapshots, &s->by_name, s->name);
	return s;
}

void snapshot_remove(struct snapshot *s)
{
	map_remove(&s->container->snapshots, &s->by_name);
	init_args_free(s->init_args);
	free(s);
}

void snapshot_remove_all(struct container *c)
{
	struct map_node *node;

	while ((node = map_after(&c->snapshots, "")))
		snapshot_remove(map_object(node, struct snapshot, by_name));
}

int snapshot_describe(struct snapshot *s, struct err *err)
{
	const struct container *c = s->container;
	size_t n = 0;
	int r;

	while (c->init_args && c->init_args[n])
		n++;
	r = init_args_copy(c->init_args, n, &s->init_args, err);
	if (r < 0)
		return r;
	memcpy(s->image, c->image, sizeof(s->image));
	memcpy(s->policy, c->policy, sizeof(s->policy));
	s->limits = c->limits;
	s->with_init = c->with_init;
	s->oom_group = c->oom_group;
	s->created_wall_usec = clock_wall_usec();
	return 0;
}

void snapshot_limits(const struct snapshot *s, struct limits *ret)
{
	*ret = s->limits;
	/* Those of I/O are the operators', not of the container's past. */
	limits_take_io(ret, &s->container->limits);
	container_fit_limits(s->container->tenant, ret);
}

struct snapshot *snapshot_any(const struct container *c, const char *name)
{
	struct map_node *node = map_find(&c->snapshots, name);

	return node ? map_object(node, struct snapshot, by_name) : NULL;
}

int snapshot_find(
	const struct model *model, const char *resource, struct snapshot **ret, struct err *err)
{
	char parent[RESOURCE_SIZE];
	char name[NAME_SIZE];
	struct container *c;
	struct snapshot *s;
	int r = name_split_child(resource, "snapshots", parent, name, err);

	if (r == 0)
		r = model_find_container(model, parent, &c, err);
	if (r < 0)
		return r;
	s = snapshot_any(c, name);
	if (!s || !s->visible)
		return err_set(err, ERR_NOT_FOUND, "SNAPSHOT_NOT_FOUND", "%s/%s has no snapshot %s",
			c->tenant->name, c->name, name);
	*ret = s;
	return 0;
}

struct snapshot *snapshot_next(const struct model *model, const struct snapshot *prev)
{
	struct container *c = prev ? prev->container : model_next_container(model, NULL);
	const char *after = prev ? prev->name : "";

	for (; c; c = model_next_container(model, c), after = "") {
		struct map_node *node = map_after(&c->snapshots, after);

		if (node)
			return map_object(node, struct snapshot, by_name);
	}
	return NULL;
}

size_t snapshot_count(const struct container *c)
{
	struct map_node *node;
	size_t n = 0;

	MAP_FOREACH(node, &c->snapshots)
	{
		const struct snapshot *s = map_object(node, struct snapshot, by_name);

		n += s->visible && !s->dropping;
	}
	return n;
}

uint32_t snapshot_image_users(const struct model *model, const char *image)
{
	struct snapshot *s = NULL;
	uint32_t n = 0;

	while ((s = snapshot_next(model, s)))
		n += !strcmp(s->image, image);
	return n;
}
