/*
 * Snapshots between hosts; see snapshot_travel.h. What they were made of besides files does not
 * travel, as with the container itself. How long one is to live is counted on: a file that lay
 * for a month does not lose what is in it.
 */
#include "server/snapshot_travel.h"

#include "base/cleanup.h"

#include <string.h>

_Static_assert(SNAPSHOT_LIST_MAX == SNAPSHOTS_MAX, "all of a container's go into a file");

static uint64_t left_s(const struct snapshot *s, int64_t now_wall_usec)
{
	if (!s->expire_wall_usec)
		return 0;
	/* What is due goes by itself, and not for ever. */
	if (s->expire_wall_usec <= now_wall_usec)
		return 1;
	return (uint64_t)(s->expire_wall_usec - now_wall_usec) / 1000000 + 1;
}

struct snapshots_packed *snapshots_pack(const struct container *c)
{
	struct snapshots_packed *packed = calloc(1, sizeof(*packed));
	int64_t now = clock_wall_usec();
	struct map_node *node;

	if (!packed)
		return NULL;
	memcpy(packed->container, c->name, sizeof(packed->container));
	MAP_FOREACH(node, &c->snapshots)
	{
		const struct snapshot *s = map_object(node, struct snapshot, by_name);
		struct snapshot_row *row = &packed->list.rows[packed->list.n];

		if (!s->visible || s->dropping)
			continue;
		memcpy(row->name, s->name, sizeof(row->name));
		memcpy(row->base, s->image, sizeof(row->base));
		row->created_wall_usec = s->created_wall_usec;
		row->left_s = left_s(s, now);
		row->automatic = s->automatic;
		memcpy(packed->uids[packed->list.n++], s->uid, sizeof(s->uid));
	}
	return packed;
}

bool snapshots_are_there(const struct container *c, const struct snapshots_packed *packed)
{
	if (c->gone || strcmp(c->name, packed->container) != 0)
		return false;
	for (size_t i = 0; i < packed->list.n; i++) {
		const struct snapshot *s = snapshot_any(c, packed->list.rows[i].name);

		if (!s || s->dropping || strcmp(s->uid, packed->uids[i]) != 0)
			return false;
	}
	return true;
}

static int unpack_one(struct container *c, const struct snapshot_row *row, struct err *err)
{
	struct snapshot *s = snapshot_add(c, row->name);
	int64_t now;
	int r;

	if (!s)
		return err_oom(err);
	r = snapshot_describe(s, err);
	if (r < 0)
		return r;
	now = s->created_wall_usec;
	/* Another host's clock may be ahead. */
	if (row->created_wall_usec < now)
		s->created_wall_usec = row->created_wall_usec;
	if (row->left_s)
		s->expire_wall_usec = now + (int64_t)row->left_s * 1000000;
	s->automatic = row->automatic;
	s->size_bytes = row->bytes;
	return 0;
}

int snapshots_unpack(struct container *c, int fd, struct err *err)
{
	_cleanup_free_ struct snapshot_list *list = calloc(1, sizeof(*list));
	int r = list ? snapshot_list_receive(fd, list, err) : err_oom(err);

	for (size_t i = 0; r == 0 && i < list->n; i++)
		r = unpack_one(c, &list->rows[i], err);
	return r;
}
