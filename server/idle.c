/*
 * Freezing what is idle; see idle.h. A timer that runs only where somebody asked for it looks at
 * these containers once a second. Must never thaw what somebody has frozen, nor freeze what is
 * used.
 */
#include "server/idle.h"

#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/health.h"
#include "server/hold.h"
#include "server/idle_packets.h"
#include "server/link.h"
#include "server/sampler.h"
#include "server/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000)
/* How often a container's CPU time is read: a quarter of the time it may be idle, within these. */
#define LOOK_MIN_S 1u
#define LOOK_MAX_S 10u

struct idle_watch {
	struct event *timer;
};

/* What is under way for one container. */
struct transition {
	struct server *server;
	struct container *container; /* a reference */
};

static struct transition *transition_new(struct server *server, struct container *c)
{
	struct transition *t = malloc(sizeof(*t));

	if (t)
		*t = (struct transition){server, container_ref(c)};
	return t;
}

static void transition_free(struct transition *t)
{
	container_unref(t->container);
	free(t);
}

static void touch(struct container *c)
{
	c->idle.since_boot_usec = clock_boot_usec();
}

static int ask(struct transition *t, bool frozen, supervisor_reply_fn reply, struct err *err)
{
	struct container *c = t->container;
	struct msg_freeze msg = {.frozen = frozen};
	int r;

	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	r = link_send(t->server->link, MSG_CONTAINER_FREEZE, &msg, NULL, 0, reply, t, err);
	if (r == 0)
		c->state = CONTAINER_FREEZING;
	return r;
}

bool idle_is_frozen(const struct container *c)
{
	return c->run.idle && (c->state == CONTAINER_FROZEN || c->state == CONTAINER_FREEZING);
}

/* --- thawing --- */

static void add_event(struct db_tx *tx, const struct container *c, const char *why)
{
	struct details d;

	details_init(&d);
	details_text(&d, "reason", why);
	events_add_container(tx, c, c->run.id, "container.thawed", details_end(&d),
		"%s/%s was idle and was thawed (%s)", c->tenant->name, c->name, why);
}

/* It is no more frozen for being idle. */
static void unmark(struct server *server, struct container *c, const char *thawed_by)
{
	struct db_tx *tx = db_tx_new_essential();

	c->run.idle = 0;
	c->idle.thaw_due = false;
	store_run_idle(tx, &c->run);
	if (thawed_by)
		add_event(tx, c, thawed_by);
	db_commit(server->db, tx, NULL, NULL);
	touch(c);
}

static void tell_waiters(struct container *c, const struct err *err)
{
	c->idle.wanted = false;
	waiters_call(&c->idle.waiters, err);
}

/* Some of it may stand still: it is frozen, until a look at it has thawed it. */
static void put_off(struct container *c, const struct err *err)
{
	if (!c->idle.thaw_due)
		log_warning("idle-not-thawed tenant=%s container=%s error=\"%s\"", c->tenant->name,
			c->name, err->msg);
	c->idle.thaw_due = true;
}

static void on_thawed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct transition *t = arg;
	struct container *c = t->container;

	(void)reply;
	link_close_fds(fds, n_fds);
	/* It may have been stopped, or have ended, meanwhile. */
	if (c->state == CONTAINER_FREEZING) {
		c->state = err ? CONTAINER_FROZEN : CONTAINER_RUNNING;
		if (err)
			put_off(c, err);
		else
			unmark(t->server, c, c->idle.why);
	}
	tell_waiters(c, err);
	transition_free(t);
}

static int thaw(struct server *server, struct container *c, struct err *err)
{
	struct transition *t = transition_new(server, c);
	int r = t ? ask(t, false, on_thawed, err) : err_oom(err);

	if (r == 0)
		return 0;
	if (t)
		transition_free(t);
	put_off(c, err);
	return r;
}

int idle_wake(struct server *server, struct container *c, const char *why,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct waiter *last;
	int r = hold_check(c->tenant, err);

	if (r < 0)
		return r;
	r = done ? waiters_add(&c->idle.waiters, done, arg, err) : 0;
	/* While it is on its way, either way, the end of that goes on with it. */
	if (r < 0 || c->idle.wanted)
		return r;
	/* One that has failed before is not for them. */
	if (!c->idle.thaw_due)
		c->idle.why = why;
	if (c->state == CONTAINER_FROZEN)
		r = thaw(server, c, err);
	c->idle.wanted = r == 0;
	if (r < 0 && done) {
		last = TAILQ_LAST(&c->idle.waiters, waiter_list);
		TAILQ_REMOVE(&c->idle.waiters, last, entry);
		free(last);
	}
	return r;
}

void idle_keep_frozen(struct db_tx *tx, struct container *c)
{
	c->run.idle = 0;
	c->idle.thaw_due = false;
	store_run_idle(tx, &c->run);
}

/* --- freezing --- */

static void tell_frozen(struct server *server, const struct container *c)
{
	struct db_tx *tx = db_tx_new();
	struct details d;

	details_init(&d);
	details_text(&d, "reason", "idle");
	details_number(&d, "seconds", c->upkeep.idle_s);
	events_add_container(tx, c, c->run.id, "container.frozen", details_end(&d),
		"%s/%s was frozen: nothing happened in it for %u s", c->tenant->name, c->name,
		c->upkeep.idle_s);
	db_commit(server->db, tx, NULL, NULL);
}

/* What could not be frozen in time is not left half frozen. No event says that it was frozen. */
static void take_back(struct container *c, const struct err *why)
{
	log_info("idle-not-frozen tenant=%s container=%s error=\"%s\"", c->tenant->name, c->name,
		why->msg);
	c->idle.wanted = true;
	c->idle.why = NULL;
}

/* Somebody may have come while it was being frozen. */
static void settle(struct server *server, struct container *c, const struct err *err)
{
	struct err failure;

	/* The next one tells what became of it. */
	if (err && !strcmp(err->reason, "SUPERVISOR_GONE")) {
		tell_waiters(c, err);
		return;
	}
	c->state = CONTAINER_FROZEN;
	if (err)
		take_back(c, err);
	else
		tell_frozen(server, c);
	if (c->idle.wanted && thaw(server, c, &failure) < 0)
		tell_waiters(c, &failure);
}

static void on_frozen(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct transition *t = arg;
	struct container *c = t->container;

	(void)reply;
	link_close_fds(fds, n_fds);
	/* It may have been stopped, or have ended: then nobody waits any more. */
	if (c->state == CONTAINER_FREEZING)
		settle(t->server, c, err);
	transition_free(t);
}

static bool is_used(const struct container *c)
{
	return c->n_execs || c->n_viewers || c->changing || c->pending[0] || health_is_asking(c);
}

static void on_marked(void *arg, const struct err *err)
{
	struct transition *t = arg;
	struct container *c = t->container;
	struct err failure;

	c->idle.marking = false;
	if (!err && c->state == CONTAINER_RUNNING && !is_used(c) && c->upkeep.idle_s &&
		ask(t, true, on_frozen, &failure) == 0)
		return;
	unmark(t->server, c, NULL);
	transition_free(t);
}

/* On record first: whoever finds it frozen must know why. */
static void freeze(struct server *server, struct container *c)
{
	struct transition *t = transition_new(server, c);
	struct db_tx *tx;

	if (!t)
		return;
	c->run.idle = c->idle.packets + 1;
	c->idle.marking = true;
	tx = db_tx_new();
	store_run_idle(tx, &c->run);
	db_commit(server->db, tx, on_marked, t);
}

/* --- looking --- */

static uint64_t look_pause(const struct container *c)
{
	uint32_t pause = c->upkeep.idle_s / 4;

	pause = pause < LOOK_MIN_S ? LOOK_MIN_S : pause > LOOK_MAX_S ? LOOK_MAX_S : pause;
	return pause * SECOND;
}

/* True when it has used the CPU since the last look, or nobody can tell. */
static bool has_worked(const struct server *server, struct container *c)
{
	struct usage_point point;
	uint64_t used;
	uint64_t passed;

	if (sampler_read_now(server, &c->run, &point) < 0)
		return true;
	used = point.counters.cpu_usec - c->idle.cpu_usec;
	passed = point.boot_usec - c->idle.look_boot_usec;
	c->idle.cpu_usec = point.counters.cpu_usec;
	c->idle.look_boot_usec = point.boot_usec;
	return used > passed * IDLE_CPU_PER_MILLE / 1000;
}

static void look_at_running(struct server *server, struct container *c)
{
	uint64_t now = clock_boot_usec();

	if (is_used(c)) {
		touch(c);
		return;
	}
	if (now - c->idle.look_boot_usec < look_pause(c))
		return;
	if (has_worked(server, c))
		touch(c);
	else if (now - c->idle.since_boot_usec >= c->upkeep.idle_s * SECOND)
		freeze(server, c);
}

/* `packets` is what came for it in its life, or NULL when nobody knows. */
static void look_at(struct server *server, struct container *c, const uint64_t *packets)
{
	bool came = packets && *packets != c->idle.packets;
	struct err err;

	if (idle_is_frozen(c)) {
		if ((came || c->idle.thaw_due) && c->state == CONTAINER_FROZEN &&
			!c->tenant->suspended)
			idle_wake(server, c, "network", NULL, NULL, &err);
		return;
	}
	if (packets)
		c->idle.packets = *packets;
	if (came || !packets || c->tenant->suspended || c->state != CONTAINER_RUNNING)
		touch(c);
	else if (!c->idle.marking)
		look_at_running(server, c);
}

static bool is_watched(const struct container *c)
{
	return (c->upkeep.idle_s || c->run.idle) && container_state_is_live(c->state) &&
	       !c->end_pending;
}

static bool any_watched(const struct server *server, bool with_network)
{
	struct container *c = NULL;

	while ((c = model_next_container(&server->model, c)))
		if (is_watched(c) && (!with_network || c->ipv4.size || c->ipv6.size))
			return true;
	return false;
}

static void arm(struct server *server)
{
	static const struct timeval second = {.tv_sec = 1};

	if (!evtimer_pending(server->idle->timer, NULL))
		evtimer_add(server->idle->timer, &second);
}

/* Those without a network have no packets, and that is known. */
static void look_at_all(struct server *server, const struct idle_packets *table)
{
	struct container *c = NULL;
	struct container *next;

	for (c = model_next_container(&server->model, NULL); c; c = next) {
		uint64_t packets = 0;
		bool known = !c->ipv4.size && !c->ipv6.size;

		next = model_next_container(&server->model, c);
		if (!is_watched(c))
			continue;
		if (!known && table)
			known = idle_packets_of(table, c, &packets);
		look_at(server, c, known ? &packets : NULL);
	}
	if (any_watched(server, false))
		arm(server);
}

static void on_packets(void *arg, const struct idle_packets *table)
{
	look_at_all(arg, table);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	if (!link_is_ready(server->link)) {
		arm(server);
		return;
	}
	if (!any_watched(server, true))
		look_at_all(server, NULL);
	else if (idle_packets_ask(server, on_packets, server) < 0)
		arm(server);
}

/* --- runs --- */

void idle_adopted(struct server *server, struct container *c)
{
	touch(c);
	c->idle.look_boot_usec = clock_boot_usec();
	/* What came for it while croftd was away counts. */
	if (c->run.idle)
		c->idle.packets = c->run.idle - 1;
	/* It was thawed, or was not frozen yet, when croftd was killed. */
	if (c->run.idle && c->state == CONTAINER_RUNNING && !c->tenant->suspended)
		unmark(server, c, "restart");
	if (is_watched(c))
		arm(server);
}

void idle_changed(struct server *server, struct container *c)
{
	struct err err;

	touch(c);
	if (!c->upkeep.idle_s && idle_is_frozen(c))
		idle_wake(server, c, "request", NULL, NULL, &err);
	if (is_watched(c))
		arm(server);
}

void idle_resumed(struct server *server, struct container *c)
{
	struct err err;

	touch(c);
	if (!c->upkeep.idle_s && idle_is_frozen(c))
		idle_wake(server, c, "request", NULL, NULL, &err);
}

void idle_end(struct container *c)
{
	struct err err;

	c->idle.thaw_due = false;
	err_set(&err, ERR_FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING", "%s/%s has ended meanwhile",
		c->tenant->name, c->name);
	tell_waiters(c, &err);
}

int idle_create(struct server *server, struct err *err)
{
	server->idle = calloc(1, sizeof(*server->idle));
	if (server->idle)
		server->idle->timer = evtimer_new(server->base, on_timer, server);
	return server->idle && server->idle->timer ? 0 : err_oom(err);
}

void idle_destroy(struct server *server)
{
	if (!server->idle)
		return;
	if (server->idle->timer)
		event_free(server->idle->timer);
	free(server->idle);
	server->idle = NULL;
}
