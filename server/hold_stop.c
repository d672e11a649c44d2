/*
 * The end of the grace: what a hold has frozen is marked, then killed, as nothing that is frozen
 * can answer a signal; and after the last hold, started again. See hold.h. Must never stop what is
 * not marked on record, nor start anything itself.
 */
#include "server/hold.h"

#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/idle.h"
#include "server/lifecycle.h"
#include "server/store.h"
#include "server/upkeep.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_SECONDS 5

struct stop {
	struct server *server;
	struct tenant *tenant; /* a reference */
	unsigned marked;
};

static void on_grace_over(evutil_socket_t fd, short what, void *arg)
{
	struct tenant *t = arg;

	(void)fd;
	(void)what;
	if (t->suspended && !t->gone)
		hold_stop(t->hold_server, t);
}

/* The timer belongs to the tenant and ends with it, so it holds no reference. */
static void arm(struct server *server, struct tenant *t, int64_t usec)
{
	struct timeval pause = {.tv_sec = usec / 1000000, .tv_usec = usec % 1000000};

	t->hold_server = server;
	if (!t->hold_timer)
		t->hold_timer = evtimer_new(server->base, on_grace_over, t);
	if (!t->hold_timer || evtimer_add(t->hold_timer, &pause) < 0)
		log_error("no-timer tenant=%s", t->name);
}

/* However the clock was set meanwhile, it waits for no longer than the grace. */
static int64_t time_left(const struct hold *hold)
{
	int64_t left = hold_stop_wall_usec(hold) - clock_wall_usec();
	int64_t most = hold->grace_s * 1000000;

	return left < 0 ? 0 : left > most ? most : left;
}

void hold_watch(struct server *server, struct tenant *t)
{
	int64_t least = INT64_MAX;

	if (t->hold_timer)
		evtimer_del(t->hold_timer);
	for (size_t i = 0; i < HOLD_TYPE_N; i++) {
		const struct hold *hold = &t->holds[i];

		if (hold->set && hold->grace_s != HOLD_GRACE_NEVER && time_left(hold) < least)
			least = time_left(hold);
	}
	if (least != INT64_MAX)
		arm(server, t, least);
}

void hold_watch_all(struct server *server)
{
	struct map_node *node;

	MAP_FOREACH(node, &server->model.tenants)
	hold_watch(server, map_object(node, struct tenant, by_name));
}

static bool is_stoppable(const struct container *c)
{
	return container_state_is_live(c->state) && c->state != CONTAINER_STOPPING &&
	       !c->condemned && !c->end_pending;
}

static void on_stopped(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
}

static void stop_marked(struct server *server, struct tenant *t)
{
	struct map_node *node;
	struct err err;

	MAP_FOREACH(node, &t->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		/* Whoever asked for its end gave it time, which it cannot use any more. */
		if (c->state == CONTAINER_STOPPING && !c->killed && !c->end_pending)
			stop_kill(server, c);
		if (!c->kept_down || !is_stoppable(c))
			continue;
		if (stop_container(server, c, 0, on_stopped, NULL, &err) < 0) {
			log_warning("held-not-stopped tenant=%s container=%s error=\"%s\"", t->name,
				c->name, err.msg);
			arm(server, t, RETRY_SECONDS * INT64_C(1000000));
		}
	}
}

static void on_marked(void *arg, const struct err *err)
{
	struct stop *stop = arg;
	struct tenant *t = stop->tenant;

	/* Resumed meanwhile: hold_release() has taken the marks off. */
	if (t->suspended && !t->gone) {
		if (err) {
			log_error("held-not-marked tenant=%s error=\"%s\"", t->name, err->msg);
			t->hold_untold += stop->marked;
			arm(stop->server, t, RETRY_SECONDS * INT64_C(1000000));
		} else {
			stop_marked(stop->server, t);
		}
	}
	tenant_unref(t);
	free(stop);
}

static unsigned mark(struct tenant *t, struct db_tx *tx)
{
	struct map_node *node;
	unsigned n = 0;

	MAP_FOREACH(node, &t->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		if (!is_stoppable(c))
			continue;
		n += !c->kept_down;
		c->kept_down = true;
		store_put_container(tx, c);
	}
	return n;
}

void hold_stop(struct server *server, struct tenant *t)
{
	struct db_tx *tx = db_tx_new_essential();
	struct stop *stop = malloc(sizeof(*stop));
	unsigned n = t->hold_untold + mark(t, tx);
	struct details d;

	t->hold_untold = 0;
	if (!stop) {
		db_tx_free(tx);
		t->hold_untold = n;
		arm(server, t, RETRY_SECONDS * INT64_C(1000000));
		return;
	}
	*stop = (struct stop){server, tenant_ref(t), n};
	if (n) {
		details_init(&d);
		details_number(&d, "containers", n);
		events_add_tenant(tx, t, "tenant.hold_stopped", details_end(&d),
			"%u container%s of tenant %s %s stopped: it is suspended", n,
			n == 1 ? "" : "s", t->name, n == 1 ? "is" : "are");
		log_info("tenant-hold-stops tenant=%s containers=%u", t->name, n);
	}
	db_commit(server->db, tx, on_marked, stop);
}

static void note(struct container *c)
{
	snprintf(c->run.end_note, sizeof(c->run.end_note),
		"its tenant is suspended; it starts again when that is over");
}

void hold_note_end(struct container *c, bool was_stopped)
{
	struct run *run = &c->run;

	/* What went with the host or its supervisor, and what was about to boot again. */
	if (c->tenant->suspended && !was_stopped && !c->killed && !c->condemned &&
		(run->exit == RUN_EXIT_UNKNOWN || run->exit == RUN_EXIT_REBOOT))
		c->kept_down = true;
	if (c->kept_down)
		note(c);
}

void hold_keep(struct server *server, struct container *c)
{
	struct db_tx *tx = db_tx_new_essential();

	c->kept_down = true;
	note(c);
	store_put_container(tx, c);
	store_end_run(tx, &c->run);
	db_commit(server->db, tx, NULL, NULL);
}

void hold_loaded(struct container *c)
{
	if (!c->kept_down || c->tenant->suspended)
		return;
	c->kept_down = false;
	c->restart_due |= !c->run.key || c->run.end_wall_usec;
}

bool hold_lets_go(const struct container *c)
{
	return c->ephemeral && !c->kept_down && !hold_keeps_evidence(c->tenant);
}

void hold_drop_ended(struct server *server, struct tenant *t)
{
	struct map_node *node;

	MAP_FOREACH(node, &t->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		if (c->state == CONTAINER_STOPPED && c->run.end_wall_usec && !c->restart_due &&
			hold_lets_go(c))
			delete_continue(server, c);
	}
}

void hold_release(struct server *server, struct tenant *t)
{
	struct db_tx *tx = db_tx_new_essential();
	struct map_node *node;

	t->hold_untold = 0;
	MAP_FOREACH(node, &t->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		/* One that was marked, but not stopped yet, just goes on. */
		if (c->kept_down) {
			c->kept_down = false;
			c->restart_due |= !container_state_is_live(c->state) ||
					  c->state == CONTAINER_STOPPING;
			store_put_container(tx, c);
		}
		idle_resumed(server, c);
	}
	db_commit(server->db, tx, NULL, NULL);
	upkeep_resume_tenant(server, t);
}
