/*
 * Who is to be moved; see placer.h. One at a time, and seldom: whoever starts and ends containers
 * must not be able to keep the neighbours' moving.
 */
#include "server/placer.h"

#include "server/container_move.h"
#include "server/container_state.h"
#include "server/cores.h"
#include "server/link.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* Also the least time between two moves that are made for balance alone. */
#define LOOK_AFTER_USEC 200000

struct placer {
	struct event *timer;
	bool moving;
};

struct candidate {
	struct container *container; /* NULL: nobody */
	uint64_t cpus[LIMITS_CPU_WORDS];
	uint64_t gain; /* for balance alone */
};

const struct cpu_topology *placer_cpus(struct server *server)
{
	cpu_topology_look(&server->cpus, CPU_TOPOLOGY_DIR, server->host.cpu_mask);
	return &server->cpus;
}

/* --- those in the wrong place --- */

static bool is_unsure(const struct container *c)
{
	return c->cores_unsure && !c->unmovable && !cores_empty(c->cpus);
}

/* It has too many cores, too few, or such as it may not have. */
static bool is_misfit(const struct server *server, const struct container *c)
{
	return cores_is_auto(&c->limits) && !c->unmovable &&
	       !cores_fit(&server->cpus, c, &c->limits);
}

static bool is_busy(const struct container *c)
{
	return c->tenant->changing || !container_move_is_possible(c);
}

/* Where one of those belongs. False when there is no such place. */
static bool find_place(
	struct server *server, const struct container *c, uint64_t ret[static LIMITS_CPU_WORDS])
{
	struct err err;

	if (is_misfit(server, c))
		return cores_resolve_container(&server->model, &server->cpus, c->tenant->cpus, c,
			       &c->limits, ret, &err) == 0;
	memcpy(ret, c->cpus, sizeof(c->cpus));
	return true;
}

/* The first that has to be moved, or told again where it is. *ret_again: one cannot be now. */
static void find_wrong(struct server *server, struct candidate *ret, bool *ret_again)
{
	struct container *c = NULL;

	*ret_again = false;
	while ((c = model_next_container(&server->model, c))) {
		if (!container_state_is_live(c->state) || (!is_unsure(c) && !is_misfit(server, c)))
			continue;
		if (is_busy(c)) {
			*ret_again = true;
		} else if (find_place(server, c, ret->cpus)) {
			ret->container = c;
			return;
		}
	}
}

/* --- those who have a better place --- */

static bool can_gain(const struct container *c)
{
	return cores_is_auto(&c->limits) && !c->unmovable && !is_busy(c) && !cores_empty(c->cpus);
}

/* p counts everybody, and does so again when this returns. */
static void consider(struct server *server, struct container *c, uint64_t to_all,
	struct placement *p, struct candidate *best)
{
	uint64_t milli = cores_promised_to(c, to_all);
	uint64_t to[LIMITS_CPU_WORDS];
	uint64_t gain = 0;
	struct err err;

	placement_remove(p, c->cpus, milli);
	if (cores_choose_auto(&server->cpus, c, p, to, &err) == 0)
		gain = placement_gain(p, milli, c->cpus, to);
	placement_add(p, c->cpus, milli);
	if (gain <= best->gain)
		return;
	best->container = c;
	best->gain = gain;
	memcpy(best->cpus, to, sizeof(best->cpus));
}

/* The one whose most loaded core becomes less loaded by most. */
static void find_gain(struct server *server, struct candidate *ret)
{
	struct map_node *t_node;
	struct map_node *node;
	struct placement p;

	cores_promised(&server->model, &server->cpus, NULL, &p);
	MAP_FOREACH(t_node, &server->model.tenants)
	{
		struct tenant *t = map_object(t_node, struct tenant, by_name);
		uint64_t to_all = cores_promised_to_all(t);

		MAP_FOREACH(node, &t->containers)
		{
			struct container *c = map_object(node, struct container, by_name);

			if (can_gain(c))
				consider(server, c, to_all, &p, ret);
		}
	}
}

static bool anybody_can_gain(const struct model *model)
{
	struct container *c = NULL;

	while ((c = model_next_container(model, c)))
		if (can_gain(c))
			return true;
	return false;
}

/* --- looking --- */

static void look(struct server *server);

/* The next who is in the wrong place goes at once. */
static void on_put_right(void *arg, const struct err *err)
{
	struct server *server = arg;

	(void)err;
	server->placer->moving = false;
	look(server);
}

static void on_balanced(void *arg, const struct err *err)
{
	struct server *server = arg;

	(void)err;
	server->placer->moving = false;
	placer_wake(server);
}

static void look(struct server *server)
{
	struct placer *placer = server->placer;
	struct candidate found = {0};
	struct err err;
	bool again;
	bool right;

	if (placer->moving || server->shutting_down || !link_is_ready(server->link))
		return;
	placer_cpus(server);
	find_wrong(server, &found, &again);
	if (again)
		placer_wake(server);
	right = !found.container;
	if (right && anybody_can_gain(&server->model))
		find_gain(server, &found);
	if (!found.container)
		return;
	placer->moving = true;
	if (container_move(server, found.container, found.cpus, right ? on_balanced : on_put_right,
		    server, &err) < 0)
		placer->moving = false;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

void placer_wake(struct server *server)
{
	static const struct timeval pause = {.tv_usec = LOOK_AFTER_USEC};

	/* One that is waited for already is soon enough. */
	if (server->placer && !evtimer_pending(server->placer->timer, NULL))
		evtimer_add(server->placer->timer, &pause);
}

void placer_resume(struct server *server)
{
	struct container *c = NULL;

	while ((c = model_next_container(&server->model, c))) {
		c->unmovable = false;
		c->cores_unsure = container_state_is_live(c->state);
	}
	look(server);
}

void placer_tenant_changed(struct server *server, struct tenant *tenant)
{
	struct map_node *node;

	MAP_FOREACH(node, &tenant->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		c->unmovable = false;
		c->cores_unsure = container_state_is_live(c->state);
	}
	/* Not before the tenant's change has ended. */
	placer_wake(server);
}

/* --- its life --- */

int placer_create(struct server *server, struct err *err)
{
	server->placer = calloc(1, sizeof(*server->placer));
	if (!server->placer)
		return err_oom(err);
	server->placer->timer = evtimer_new(server->base, on_timer, server);
	return server->placer->timer ? 0 : err_oom(err);
}

void placer_destroy(struct server *server)
{
	if (server->placer && server->placer->timer)
		event_free(server->placer->timer);
	free(server->placer);
	server->placer = NULL;
}
