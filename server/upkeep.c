/*
 * Restarts after a pause; see upkeep.h. Must never start what somebody has stopped, nor fill the
 * event log: a tenant that is suspended is waited for silently.
 */
#include "server/upkeep.h"

#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/store.h"
#include "server/upkeep_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MAX_SECONDS 300u
/* A run that lasted so long has worked: the next failure is a first one. */
#define STEADY_SECONDS 60u

static const char *const restart_names[] = {
	[RESTART_NEVER] = "never",
	[RESTART_ON_FAILURE] = "on-failure",
	[RESTART_ALWAYS] = "always",
};

const char *upkeep_restart_name(enum restart_policy policy)
{
	return restart_names[policy];
}

int upkeep_restart_parse(const char *name, enum restart_policy *ret)
{
	for (size_t i = 0; i < sizeof(restart_names) / sizeof(restart_names[0]); i++)
		if (!strcmp(name, restart_names[i])) {
			*ret = (enum restart_policy)i;
			return 0;
		}
	return -EINVAL;
}

bool upkeep_wants_restart(const struct upkeep *upkeep, enum run_exit exit, int status)
{
	/* Whoever shuts it down inside means it, and a reboot has its own run already. */
	if (upkeep->restart == RESTART_NEVER || exit == RUN_EXIT_POWEROFF ||
		exit == RUN_EXIT_REBOOT || exit == RUN_EXIT_NONE)
		return false;
	return upkeep->restart == RESTART_ALWAYS || exit != RUN_EXIT_EXITED || status != 0;
}

unsigned upkeep_pause_seconds(unsigned tries)
{
	unsigned pause = tries < 16 ? 1u << tries : PAUSE_MAX_SECONDS;

	return pause < PAUSE_MAX_SECONDS ? pause : PAUSE_MAX_SECONDS;
}

void upkeep_decide(struct container *c)
{
	const struct run *run = &c->run;
	uint64_t lasted = run->end_boot_usec > run->start_boot_usec
				  ? run->end_boot_usec - run->start_boot_usec
				  : 0;

	if (!upkeep_wants_restart(&c->upkeep, run->exit, run->exit_status))
		return;
	if (lasted >= STEADY_SECONDS * UINT64_C(1000000))
		c->restarts = 0;
	c->restart_due = true;
}

void upkeep_demand(struct container *c, uint64_t worked_usec)
{
	if (worked_usec >= STEADY_SECONDS * UINT64_C(1000000))
		c->restarts = 0;
	c->restart_due = true;
}

void upkeep_add_event(struct db_tx *tx, const struct container *c)
{
	struct details d;

	if (!c->restart_due)
		return;
	details_init(&d);
	details_number(&d, "attempt", c->restarts + 1);
	details_number(&d, "seconds", upkeep_pause_seconds(c->restarts));
	events_add_container(tx, c, c->run.id, "container.restart_due", details_end(&d),
		"%s/%s starts again in %u s (attempt %u)", c->tenant->name, c->name,
		upkeep_pause_seconds(c->restarts), c->restarts + 1);
}

void upkeep_cancel(struct container *c)
{
	if (c->restart_timer)
		event_del(c->restart_timer);
	c->restart_due = false;
	c->restart_wall_usec = 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg);

static void wait(struct server *server, struct container *c)
{
	unsigned seconds = upkeep_pause_seconds(c->restarts);
	struct timeval pause = {.tv_sec = seconds};

	c->stop_server = server;
	if (!c->restart_timer)
		c->restart_timer = evtimer_new(server->base, on_timer, c);
	if (!c->restart_timer || evtimer_add(c->restart_timer, &pause) < 0) {
		log_error("no-timer tenant=%s container=%s", c->tenant->name, c->name);
		return;
	}
	c->restart_wall_usec = clock_wall_usec() + (int64_t)seconds * 1000000;
}

/* It is due again, and on record as such. */
static void put_off(struct server *server, struct container *c, bool tell, const struct err *err)
{
	struct db_tx *tx = db_tx_new_essential();

	c->restarts++;
	c->restart_due = true;
	wait(server, c);
	store_put_container(tx, c);
	if (tell)
		events_add_start_failed(tx, c, "", err);
	upkeep_add_event(tx, c);
	db_commit(server->db, tx, NULL, NULL);
}

/* Until the last hold is lifted: then upkeep_resume_tenant() finds it. */
static void await_resumption(struct server *server, struct container *c)
{
	struct db_tx *tx = db_tx_new_essential();

	upkeep_cancel(c);
	c->restart_due = true;
	store_put_container(tx, c);
	db_commit(server->db, tx, NULL, NULL);
}

struct restart {
	struct server *server;
	struct container *container; /* a reference */
	void (*done)(void *arg);
	void *arg;
};

static void on_restarted(void *arg, const struct err *err)
{
	struct restart *r = arg;
	struct container *c = r->container;

	if (!err)
		c->restarts++;
	else if (!c->gone && !c->condemned && c->state == CONTAINER_STOPPED && c->tenant->suspended)
		await_resumption(r->server, c);
	else if (!c->gone && !c->condemned && c->state == CONTAINER_STOPPED)
		put_off(r->server, c, false, err);
	if (r->done)
		r->done(r->arg);
	container_unref(c);
	free(r);
}

bool upkeep_start(struct server *server, struct container *c, void (*done)(void *arg), void *arg)
{
	struct start_request request = {.container = c, .unasked = true, .done = on_restarted};
	struct restart *r = malloc(sizeof(*r));
	struct err err;

	if (!r)
		return false;
	*r = (struct restart){server, container_ref(c), done, arg};
	request.arg = r;
	request.tx = db_tx_new();
	/* Whether it was due or not: what follows from a failure is the same. */
	if (start_container(server, &request, &err) == 0)
		return true;
	container_unref(c);
	free(r);
	if (c->state != CONTAINER_STOPPED || c->condemned || server->shutting_down)
		return false;
	if (c->tenant->suspended)
		await_resumption(server, c);
	else
		put_off(server, c, true, &err);
	return false;
}

/* The timer belongs to the container and ends with it, so it holds no reference. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct container *c = arg;

	(void)fd;
	(void)what;
	if (c->restart_due && c->state == CONTAINER_STOPPED && !c->end_pending)
		upkeep_start(c->stop_server, c, NULL, NULL);
}

void upkeep_adopted(struct server *server, struct container *c)
{
	struct db_tx *tx;

	/* One that is unhealthy is yet to be ended (health.c). */
	if (!c->restart_due || c->state == CONTAINER_STOPPING || c->run.health == HEALTH_UNHEALTHY)
		return;
	tx = db_tx_new_essential();
	upkeep_cancel(c);
	store_put_container(tx, c);
	db_commit(server->db, tx, NULL, NULL);
}

void upkeep_after_end(struct server *server, struct container *c)
{
	/* One that is in the queue is started from there, in its order. */
	if (!c->restart_due || c->queued || server->shutting_down)
		return;
	/* Else it is waited for the last hold. */
	if (!c->tenant->suspended)
		wait(server, c);
}
