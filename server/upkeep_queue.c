/*
 * What is to be started when croftd comes up, in order; see upkeep.h. A few at a time, and one
 * order after the other, so that a host full of containers boots without starving itself.
 */
#include "base/log.h"
#include "server/store.h"
#include "server/upkeep.h"
#include "server/upkeep_internal.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 4u

struct upkeep_queue {
	struct server *server;
	struct container **containers; /* owned, each a reference, in order */
	size_t n;
	size_t next;
	unsigned active;
	bool walking; /* walk() is on the stack */
	bool boot;    /* the autostart of this boot: to be noted when it is through */
};

static void walk(struct upkeep_queue *q);

static int compare(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a;
	const struct container *y = *(struct container *const *)b;
	int r;

	if (x->upkeep.order != y->upkeep.order)
		return x->upkeep.order < y->upkeep.order ? -1 : 1;
	r = strcmp(x->tenant->name, y->tenant->name);
	return r ? r : strcmp(x->name, y->name);
}

enum occasion {
	OCCASION_CONNECTED,
	OCCASION_BOOT,
	OCCASION_RESUMED, /* of tenants that are `returning` */
};

static bool belongs(const struct container *c, enum occasion occasion)
{
	if (c->condemned || c->queued || !c->visible)
		return false;
	/* One whose last run's end is being committed is as good as stopped. */
	if (c->state != CONTAINER_STOPPED && !c->end_pending)
		return false;
	if (occasion == OCCASION_RESUMED && !c->tenant->returning)
		return false;
	return c->restart_due || (occasion == OCCASION_BOOT && c->upkeep.autostart);
}

static void start_returning(struct server *server);

static void finish(struct upkeep_queue *q)
{
	struct server *server = q->server;
	struct db_tx *tx;

	if (q->boot && !server->ending && !server->shutting_down) {
		tx = db_tx_new_essential();
		store_setting(tx, STORE_AUTOSTART_BOOT, server->boot_id);
		db_commit(server->db, tx, NULL, NULL);
		memcpy(server->autostart_boot, server->boot_id, sizeof(server->autostart_boot));
	}
	upkeep_finish(server);
	if (!server->ending)
		start_returning(server);
}

static void on_started(void *arg)
{
	struct upkeep_queue *q = arg;

	q->active--;
	if (!q->walking)
		walk(q);
}

static void start(struct upkeep_queue *q, struct container *c)
{
	c->queued = false;
	if (c->gone || c->condemned || c->state != CONTAINER_STOPPED)
		return;
	if (upkeep_start(q->server, c, on_started, q))
		q->active++;
}

static void on_ended(void *arg, const struct err *err)
{
	struct upkeep_queue *q = arg;

	(void)err;
	q->active--;
	if (!q->walking)
		walk(q);
}

/* The next one's turn. False: it waits for something. */
static bool take(struct upkeep_queue *q)
{
	struct container *c = q->containers[q->next];
	struct err err;

	/* Whoever comes before in order has been started first. */
	if (q->next && q->active && q->containers[q->next - 1]->upkeep.order != c->upkeep.order)
		return false;
	if (c->end_pending && !c->gone) {
		if (waiters_add(&c->end_waiters, on_ended, q, &err) < 0)
			return false;
		q->active++;
		return false;
	}
	q->next++;
	start(q, c);
	return true;
}

static void walk(struct upkeep_queue *q)
{
	q->walking = true;
	while (q->next < q->n && q->active < AT_ONCE && !q->server->shutting_down && take(q))
		;
	q->walking = false;
	if (!q->active && (q->next == q->n || q->server->shutting_down))
		finish(q);
}

/* NULL: there is nothing to start. */
static struct upkeep_queue *collect(struct server *server, enum occasion occasion)
{
	struct container *c = NULL;
	struct upkeep_queue *q;
	size_t n = 0;

	while ((c = model_next_container(&server->model, c)))
		n += belongs(c, occasion);
	if (!n && occasion != OCCASION_BOOT)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (q)
		q->containers = calloc(n + 1, sizeof(struct container *));
	if (!q || !q->containers) {
		free(q);
		log_error("autostart-failed error=\"out of memory\"");
		return NULL;
	}
	q->server = server;
	q->boot = occasion == OCCASION_BOOT;
	while ((c = model_next_container(&server->model, c)))
		if (belongs(c, occasion))
			q->containers[q->n++] = container_ref(c);
	for (size_t i = 0; i < q->n; i++)
		q->containers[i]->queued = true;
	qsort(q->containers, q->n, sizeof(struct container *), compare);
	return q;
}

static void run(struct server *server, struct upkeep_queue *q)
{
	server->upkeep = q;
	if (q->n)
		log_info("autostart containers=%zu", q->n);
	walk(q);
}

static void set_returning(struct server *server, bool returning)
{
	struct map_node *node;

	MAP_FOREACH(node, &server->model.tenants)
	map_object(node, struct tenant, by_name)->returning = returning;
}

void upkeep_resume(struct server *server)
{
	bool boot = strcmp(server->autostart_boot, server->boot_id) != 0;
	struct upkeep_queue *q;

	if (!server->upkeep && !server->shutting_down) {
		q = collect(server, boot ? OCCASION_BOOT : OCCASION_CONNECTED);
		if (q)
			run(server, q);
	} else {
		/* What was lost with the supervisor is looked for when this queue is through. */
		set_returning(server, true);
	}
}

static void start_returning(struct server *server)
{
	struct upkeep_queue *q;

	if (server->upkeep || server->shutting_down)
		return;
	q = collect(server, OCCASION_RESUMED);
	/*
	 * Before any is started: the end of the queue comes back here, at once where all are
	 * refused, and would find those that were put off.
	 */
	set_returning(server, false);
	if (q)
		run(server, q);
}

void upkeep_resume_tenant(struct server *server, struct tenant *t)
{
	t->returning = true;
	start_returning(server);
}

void upkeep_finish(struct server *server)
{
	struct upkeep_queue *q = server->upkeep;

	if (!q)
		return;
	server->upkeep = NULL;
	for (size_t i = 0; i < q->n; i++) {
		q->containers[i]->queued = false;
		container_unref(q->containers[i]);
	}
	free(q->containers);
	free(q);
}
