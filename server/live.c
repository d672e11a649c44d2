/* Looks at what runs now; see live.h. Never reads more than a slice in one turn. */
#include "server/live.h"

#include "server/forks.h"
#include "server/sampler.h"
#include "server/traffic.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define SLICE  16 /* as the sampler's */
#define PAUSES 10 /* as long as the look took: so much pause at least */
/* A look that is older tells nothing of now: rates begin at the last sample then. */
#define BEFORE_MAX_USEC UINT64_C(15000000)

struct live_watch {
	struct event *begin; /* the next look */
	struct event *turn;  /* the next slice of this one */
	struct waiter_list waiters;
	struct waiter_list later; /* for the look after this one */
	bool looking;
	uint64_t began_usec;
	uint64_t not_before_usec;
	char tenant[NAME_SIZE];
	char container[NAME_SIZE]; /* where the look has come to */
};

/* --- One run ---------------------------------------------------------------------------------- */

static uint64_t rate(uint64_t before, uint64_t now, uint64_t interval_usec, uint64_t scale)
{
	if (now <= before)
		return 0;
	return (uint64_t)((unsigned __int128)(now - before) * scale / interval_usec);
}

static void look_at_forks(struct server *server, const struct run *run, struct live *live)
{
	struct forks_look before = live->forks;
	uint64_t since;
	uint64_t n;

	if (live->run_key != run->key || clock_boot_usec() - before.boot_usec >= BEFORE_MAX_USEC)
		before = run->forks;
	live->has_forks = forks_look(server, run, &live->forks) &&
			  forks_between(run, &before, &live->forks, &n, &since) &&
			  since < live->forks.boot_usec;
	if (live->has_forks)
		live->fork_rate = rate(0, n, live->forks.boot_usec - since, 1000000);
}

static void look_at(struct server *server, const struct run *run, struct live **slot)
{
	struct live *live = *slot ? *slot : calloc(1, sizeof(*live));
	struct usage_point now;

	*slot = live;
	if (!live || sampler_read_now(server, run, &now) < 0)
		return;
	if (live->run_key == run->key && now.boot_usec - live->now.boot_usec < BEFORE_MAX_USEC)
		live->before = live->now;
	else
		live->before = run->last;
	look_at_forks(server, run, live);
	live->run_key = run->key;
	live->now = now;
	stalls_read(run->stalls, &live->stalls);
}

const struct live *live_of(const struct live *live, const struct run *run)
{
	return live && run->key && live->run_key == run->key ? live : NULL;
}

void live_rates(const struct live *live, struct live_rates *ret)
{
	const struct counters *a = &live->before.counters;
	const struct counters *b = &live->now.counters;
	uint64_t interval = live->now.boot_usec > live->before.boot_usec
				    ? live->now.boot_usec - live->before.boot_usec
				    : 0;

	*ret = (struct live_rates){.interval_usec = interval};
	ret->has_forks = live->has_forks;
	ret->forks = live->has_forks ? live->fork_rate : 0;
	if (!interval)
		return;
	ret->cpu_milli = rate(a->cpu_usec, b->cpu_usec, interval, 1000);
	ret->throttled_milli = rate(a->cpu_throttled_usec, b->cpu_throttled_usec, interval, 1000);
	if (a->has_net && b->has_net) {
		ret->net_in = rate(a->net.all_in.bytes, b->net.all_in.bytes, interval, 1000000);
		ret->net_out = rate(a->net.all_out.bytes, b->net.all_out.bytes, interval, 1000000);
	}
	if (b->has_io) {
		ret->io_read = rate(a->io.read_bytes, b->io.read_bytes, interval, 1000000);
		ret->io_write = rate(a->io.write_bytes, b->io.write_bytes, interval, 1000000);
	}
}

void live_add_rates(struct live_rates *to, const struct live_rates *from)
{
	to->has_forks |= from->has_forks;
	to->forks += from->forks;
	to->net_in += from->net_in;
	to->net_out += from->net_out;
	to->io_read += from->io_read;
	to->io_write += from->io_write;
}

/* --- A look ----------------------------------------------------------------------------------- */

static void schedule(struct live_watch *watch)
{
	uint64_t now = clock_boot_usec();
	uint64_t wait = watch->not_before_usec > now ? watch->not_before_usec - now : 0;
	struct timeval pause = {
		.tv_sec = (time_t)(wait / 1000000), .tv_usec = (suseconds_t)(wait % 1000000)};

	if (!watch->looking && !TAILQ_EMPTY(&watch->later) && !evtimer_pending(watch->begin, NULL))
		evtimer_add(watch->begin, &pause);
}

static void finish(struct live_watch *watch)
{
	uint64_t now = clock_boot_usec();
	uint64_t pause = (now - watch->began_usec) * PAUSES;

	watch->looking = false;
	watch->not_before_usec = now + (pause > LIVE_AGE_USEC ? pause : LIVE_AGE_USEC);
	waiters_call(&watch->waiters, NULL);
	schedule(watch);
}

/* Moves on by a tenant or a container of it, in order of names. False at the end. */
static bool step(struct server *server)
{
	struct live_watch *watch = server->live;
	struct tenant *t = model_any_tenant(&server->model, watch->tenant);
	struct map_node *node = t && t->live_looking ? map_after(&t->containers, watch->container)
						     : NULL;

	if (node) {
		struct container *c = map_object(node, struct container, by_name);

		memcpy(watch->container, c->name, sizeof(watch->container));
		look_at(server, &c->run, &c->live);
		return true;
	}
	node = map_after(&server->model.tenants, watch->tenant);
	if (!node)
		return false;
	t = map_object(node, struct tenant, by_name);
	memcpy(watch->tenant, t->name, sizeof(watch->tenant));
	watch->container[0] = '\0';
	if (t->live_looking)
		look_at(server, &t->own, &t->live);
	return true;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct server *server = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < SLICE; i++) {
		if (!step(server)) {
			finish(server->live);
			return;
		}
	}
	evtimer_add(server->live->turn, &at_once);
}

static void on_traffic(void *arg, const struct err *err)
{
	struct server *server = arg;

	(void)err;
	if (server->live && server->live->looking)
		on_turn(-1, EV_TIMEOUT, server);
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct live_watch *watch = server->live;
	uint64_t now = clock_boot_usec();
	struct map_node *node;

	(void)fd;
	(void)what;
	TAILQ_CONCAT(&watch->waiters, &watch->later, entry);
	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		t->live_looking = t->live_wanted;
		t->live_wanted = false;
		if (t->live_looking)
			t->live_looked_usec = now;
	}
	watch->looking = true;
	watch->began_usec = now;
	watch->tenant[0] = '\0';
	watch->container[0] = '\0';
	/* None that a sweep had before: rates of a second would be of another time. */
	traffic_look(server, 0, on_traffic, server);
}

/* --- Asking ----------------------------------------------------------------------------------- */

/* Wants a look at it, unless there was one just now. */
static bool want(struct tenant *t, uint64_t now)
{
	if (t->live_looked_usec && now - t->live_looked_usec < LIVE_AGE_USEC)
		return false;
	t->live_wanted = true;
	return true;
}

int live_look(struct server *server, struct tenant *only,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct live_watch *watch = server->live;
	uint64_t now = clock_boot_usec();
	struct map_node *node;
	bool wanted = false;
	int r;

	if (only)
		wanted = want(only, now);
	else
		MAP_FOREACH(node, &server->model.tenants)
	wanted |= want(map_object(node, struct tenant, by_name), now);
	/* One that is under way ends soon, and may have those that are asked about. */
	if (!wanted && !watch->looking) {
		done(arg, NULL);
		return 0;
	}
	r = waiters_add(wanted ? &watch->later : &watch->waiters, done, arg, err);
	if (r == 0)
		schedule(watch);
	return r;
}

int live_create(struct server *server, struct err *err)
{
	struct live_watch *watch = calloc(1, sizeof(*watch));

	server->live = watch;
	if (!watch)
		return err_oom(err);
	TAILQ_INIT(&watch->waiters);
	TAILQ_INIT(&watch->later);
	watch->begin = evtimer_new(server->base, on_begin, server);
	watch->turn = evtimer_new(server->base, on_turn, server);
	return watch->begin && watch->turn ? 0 : err_oom(err);
}

void live_destroy(struct server *server)
{
	struct live_watch *watch = server->live;
	struct err err;

	if (!watch)
		return;
	server->live = NULL;
	if (watch->begin)
		event_free(watch->begin);
	if (watch->turn)
		event_free(watch->turn);
	err_set(&err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
	waiters_call(&watch->waiters, &err);
	waiters_call(&watch->later, &err);
	free(watch);
}
