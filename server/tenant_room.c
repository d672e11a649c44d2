/*
 * Room for a tenant's new cores; see tenant_room.h. One container after the other, each a whole
 * change: a croftd that dies in the middle leaves containers that are closer together than they
 * need be, which placer.c finds.
 */
#include "server/tenant_room.h"

#include "server/container_move.h"
#include "server/container_state.h"
#include "server/cores.h"
#include "server/placer.h"

#include <stdlib.h>
#include <string.h>

struct room {
	struct server *server;
	struct tenant *tenant; /* a reference */
	uint64_t cpus[LIMITS_CPU_WORDS];
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

/* Those that the tenant has now and keeps. False when there are none. */
static bool kept(struct server *server, const struct tenant *t,
	const uint64_t cpus[static LIMITS_CPU_WORDS], uint64_t ret[static LIMITS_CPU_WORDS])
{
	const struct cpu_topology *host = placer_cpus(server);
	bool all = cores_empty(t->cpus);

	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		ret[i] = cpus[i] & host->usable[i] & (all ? UINT64_MAX : t->cpus[i]);
	return !cores_empty(ret);
}

bool tenant_room_can_be_made(struct server *server, const struct container *container,
	const uint64_t cpus[static LIMITS_CPU_WORDS])
{
	uint64_t left[LIMITS_CPU_WORDS];

	return cores_is_auto(&container->limits) && kept(server, container->tenant, cpus, left);
}

static struct container *next_in_the_way(const struct room *room)
{
	struct map_node *node;

	MAP_FOREACH(node, &room->tenant->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		/* One that is moving may be on its way to any that the tenant has now. */
		if (cores_is_auto(&c->limits) && container_state_is_live(c->state) &&
			!c->end_pending && (c->moving || !cores_within(c->cpus, room->cpus)))
			return c;
	}
	return NULL;
}

static void make(struct room *room);

static void end(struct room *room, const struct err *err)
{
	room->done(room->arg, err);
	tenant_unref(room->tenant);
	free(room);
}

static void on_moved(void *arg, const struct err *err)
{
	if (err)
		end(arg, err);
	else
		make(arg);
}

static int move_out(struct room *room, struct container *c, struct err *err)
{
	struct server *server = room->server;
	uint64_t left[LIMITS_CPU_WORDS];
	uint64_t to[LIMITS_CPU_WORDS];
	int r;

	if (c->moving)
		return waiters_add(&c->move_waiters, on_moved, room, err);
	if (!container_move_is_possible(c))
		return err_set(err, ERR_ABORTED, "CONTAINER_BUSY", "%s/%s is %s; try again",
			c->tenant->name, c->name,
			c->changing ? "being changed" : container_state_name(c->state));
	kept(server, room->tenant, room->cpus, left);
	r = cores_resolve_container(&server->model, &server->cpus, left, c, &c->limits, to, err);
	return r < 0 ? r : container_move(server, c, to, on_moved, room, err);
}

static void make(struct room *room)
{
	struct container *c = next_in_the_way(room);
	struct err err;

	if (!c)
		end(room, NULL);
	else if (move_out(room, c, &err) < 0)
		end(room, &err);
}

void tenant_room_make(struct server *server, struct tenant *tenant,
	const uint64_t cpus[static LIMITS_CPU_WORDS],
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct room *room = calloc(1, sizeof(*room));
	struct err err;

	if (!room) {
		err_oom(&err);
		done(arg, &err);
		return;
	}
	room->server = server;
	room->tenant = tenant_ref(tenant);
	memcpy(room->cpus, cpus, sizeof(room->cpus));
	room->done = done;
	room->arg = arg;
	make(room);
}
