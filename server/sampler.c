/* The sweep over all counters; see sampler.h. Never reads more than a slice in one turn. */
#include "server/sampler.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/abuse.h"
#include "server/allowance.h"
#include "server/faults.h"
#include "server/forks.h"
#include "server/ledger.h"
#include "server/ledger_cut.h"
#include "server/request_ids.h"
#include "server/store.h"
#include "server/traffic.h"
#include "server/work.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MIN_MS 1000u /* however often samples are taken */

/* Containers a turn of the loop: some ten files each, about a tenth of a millisecond together. */
#define SLICE		  16
#define EXPIRE_EVERY_USEC (3600 * INT64_C(1000000))

/* Sweeps that somebody waits for: after one that took as long as this, ten times as long a pause.
 */
#define DEMAND_PAUSE_USEC UINT64_C(1000000)
#define DEMAND_PAUSES	  10

/* What a sweep's commit is to be told to. */
struct sweep {
	struct server *server;
	uint64_t number;
	uint64_t began_boot_usec;
	bool clock_set; /* which its transaction says */
	struct waiter_list waiters;
};

struct sampler {
	struct event *timer;  /* the next sweep */
	struct event *turn;   /* the next slice of this sweep */
	struct event *demand; /* the next sweep for those who wait */
	struct waiter_list waiters;
	uint64_t sweeps;
	struct sweep *sweep; /* the present one; NULL between two */
	struct db_tx *tx;    /* of it */
	char tenant[NAME_SIZE];
	char container[NAME_SIZE]; /* where the sweep has come to */
	size_t samples;
	uint64_t began_boot_usec;
	uint64_t demand_boot_usec; /* not before this */
	bool on_demand;		   /* the present one is for those who wait */
	bool due;		   /* the interval ended during one */
	int64_t expired_wall_usec;
};

static bool run_is_readable(const struct run *run)
{
	return run->files && run->confirmed && !run->end_wall_usec;
}

int sampler_read_now(const struct server *server, const struct run *run, struct usage_point *ret)
{
	struct usage_point point = {.sequence = run->last.sequence + 1};
	struct err err;
	int r;

	if (!run_is_readable(run))
		return -ENOENT;
	point.boot_usec = clock_boot_usec();
	point.wall_usec = clock_wall_usec();
	r = counters_read(run->files, &point.counters, &err);
	if (r < 0)
		return r;
	point.counters.has_net = traffic_of(server->traffic, run->id, &point.counters.net);
	*ret = point;
	return 0;
}

/* Three more files a run, for metrics and for rules about abuse. */
static void read_stalls(struct run *run)
{
	stalls_read(run->stalls, &run->stalled);
	run->stalled_known = true;
}

static void read_forks(struct server *server, struct container *c)
{
	struct forks_look before = c->run.forks;

	if (forks_look(server, &c->run, &c->run.forks))
		abuse_take_forks(server, c, &before, &c->run.forks);
}

static void sample_container(struct server *server, struct container *c)
{
	struct sampler *sampler = server->sampler;
	struct usage_point point;

	if (c->start_pending || c->end_pending || !c->run.stored ||
		sampler_read_now(server, &c->run, &point) < 0)
		return;
	read_stalls(&c->run);
	abuse_take_stalls(server, c->tenant, c);
	read_forks(server, c);
	ledger_add_sample(server, sampler->tx, c, &point, sampler->sweep->number);
	ledger_add_totals(sampler->tx, c);
	sampler->samples++;
}

/* Its directory behind its leaf, whose work is part of what that has counted. */
size_t sampler_take_tenant(
	struct server *server, struct db_tx *tx, struct tenant *t, uint64_t sweep)
{
	size_t samples = work_sample(server, tx, t, sweep);
	struct usage_point point;

	if (sampler_read_now(server, &t->own, &point) < 0)
		return samples;
	read_stalls(&t->own);
	abuse_take_stalls(server, t, NULL);
	ledger_add_own_sample(server, tx, t, &point, sweep);
	return samples + 1;
}

static void sweep_end(struct sweep *sweep, const struct err *err)
{
	if (!err) {
		allowance_look_all(sweep->server);
		abuse_look_all(sweep->server);
	}
	waiters_call(&sweep->waiters, err);
	free(sweep);
}

/* The counters are cumulative: the next sweep brings what this one did not. */
static void take_back(const struct sweep *sweep)
{
	const struct model *model = &sweep->server->model;
	struct container *c = NULL;
	struct map_node *node;

	MAP_FOREACH(node, &model->tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		ledger_take_back_own(t, sweep->number);
		ledger_take_back_work(t, sweep->number);
	}
	while ((c = model_next_container(model, c)))
		ledger_take_back(c, sweep->number);
}

static void on_committed(void *arg, const struct err *err)
{
	struct sweep *sweep = arg;
	struct server *server = sweep->server;

	if (err) {
		log_error("sweep-not-committed error=\"%s\"", err->msg);
		server->stats.sweeps_failed++;
		take_back(sweep);
	} else {
		server->stats.swept_wall_usec = clock_wall_usec();
		histogram_add(&server->stats.sweeps, clock_boot_usec() - sweep->began_boot_usec);
	}
	if (sweep->clock_set)
		clock_watch_end(&server->clock, !err);
	server->swept = sweep->number;
	sweep_end(sweep, err);
}

/*
 * The next sweep is at the edge of an hour when that comes first: what lies between two samples
 * there is attributed evenly to both hours.
 */
static void schedule(struct server *server)
{
	uint64_t wait = server->config->sample_interval_ms * 1000;
	int64_t now = clock_wall_usec();
	uint64_t edge = (uint64_t)(ledger_hour_of(now) + LEDGER_HOUR_USEC - now);
	struct timeval pause;

	if (edge < wait)
		wait = edge;
	pause = (struct timeval){
		.tv_sec = (time_t)(wait / 1000000), .tv_usec = (suseconds_t)(wait % 1000000)};

	evtimer_add(server->sampler->timer, &pause);
}

void sampler_arm_look(const struct server *server, struct event *timer)
{
	uint64_t ms = server->config->sample_interval_ms;
	struct timeval pause;

	if (ms < LOOK_MIN_MS)
		ms = LOOK_MIN_MS;
	pause = (struct timeval){
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	evtimer_add(timer, &pause);
}

/* Sets the time for a sweep on demand, unless one is under way: its end does it then. */
static void schedule_demand(struct sampler *sampler)
{
	uint64_t now = clock_boot_usec();
	uint64_t wait = sampler->demand_boot_usec > now ? sampler->demand_boot_usec - now : 0;
	struct timeval pause = {
		.tv_sec = (time_t)(wait / 1000000), .tv_usec = (suseconds_t)(wait % 1000000)};

	if (!sampler->sweep && !TAILQ_EMPTY(&sampler->waiters) &&
		!evtimer_pending(sampler->demand, NULL))
		evtimer_add(sampler->demand, &pause);
}

static void pause_demand(struct sampler *sampler)
{
	uint64_t now = clock_boot_usec();
	uint64_t pause = (now - sampler->began_boot_usec) * DEMAND_PAUSES;

	sampler->demand_boot_usec = now + (pause > DEMAND_PAUSE_USEC ? pause : DEMAND_PAUSE_USEC);
}

static void begin_sweep(struct server *server, bool on_demand);

/* Which transaction has the step is known to its end. */
static void look_at_clock(struct server *server)
{
	struct sampler *sampler = server->sampler;
	struct clock_look now = {clock_boot_usec(), clock_wall_usec()};

	sampler->sweep->clock_set = clock_watch_look(
		&server->clock, sampler->tx, server->boot_id, &now);
	sampler->samples += sampler->sweep->clock_set;
}

static void finish_sweep(struct server *server)
{
	struct sampler *sampler = server->sampler;
	struct sweep *sweep = sampler->sweep;
	int64_t now = clock_wall_usec();

	if (now - sampler->expired_wall_usec > EXPIRE_EVERY_USEC) {
		sampler->expired_wall_usec = now;
		request_expire(server->requests, sampler->tx, now);
		sampler->samples++;
	}
	sampler->sweep = NULL;
	if (sampler->samples) {
		db_commit(server->db, sampler->tx, on_committed, sweep);
	} else {
		db_tx_free(sampler->tx);
		server->stats.swept_wall_usec = now;
		sweep_end(sweep, NULL);
	}
	sampler->tx = NULL;
	if (sampler->on_demand)
		pause_demand(sampler);
	else
		schedule(server);
	if (sampler->due)
		begin_sweep(server, false);
	else
		schedule_demand(sampler);
}

/* The tenant the sweep stands at, or the next one; NULL at the end. */
static struct tenant *present_tenant(struct server *server, bool *ret_fresh)
{
	struct sampler *sampler = server->sampler;
	struct tenant *t = model_any_tenant(&server->model, sampler->tenant);
	struct map_node *node;

	*ret_fresh = !t;
	if (t)
		return t;
	node = map_after(&server->model.tenants, sampler->tenant);
	return node ? map_object(node, struct tenant, by_name) : NULL;
}

/* Moves on by one step: a tenant, or a container of it. False at the end. */
static bool step(struct server *server)
{
	struct sampler *sampler = server->sampler;
	struct map_node *node;
	struct tenant *t;
	bool fresh;

	t = present_tenant(server, &fresh);
	if (!t)
		return false;
	if (!fresh) {
		node = t->sweeping ? map_after(&t->containers, sampler->container) : NULL;
		if (node) {
			struct container *c = map_object(node, struct container, by_name);

			memcpy(sampler->container, c->name, sizeof(sampler->container));
			sample_container(server, c);
			return true;
		}
		node = map_after(&server->model.tenants, sampler->tenant);
		if (!node)
			return false;
		t = map_object(node, struct tenant, by_name);
	}
	memcpy(sampler->tenant, t->name, sizeof(sampler->tenant));
	sampler->container[0] = '\0';
	if (t->sweeping)
		sampler->samples += sampler_take_tenant(
			server, sampler->tx, t, sampler->sweep->number);
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
			finish_sweep(server);
			return;
		}
	}
	evtimer_add(server->sampler->turn, &at_once);
}

/* What the supervisor could not say stays out of the samples. */
static void on_traffic(void *arg, const struct err *err)
{
	struct server *server = arg;

	(void)err;
	if (server->sampler)
		on_turn(-1, EV_TIMEOUT, server);
}

static void refuse_full(struct sampler *sampler)
{
	struct err err;

	db_refuse_full(&err);
	waiters_call(&sampler->waiters, &err);
}

static void begin_sweep(struct server *server, bool on_demand)
{
	struct sampler *sampler = server->sampler;
	struct sweep *sweep = calloc(1, sizeof(*sweep));
	struct map_node *node;

	/* What cannot be kept is not read either: the counters are cumulative, and a gap is one. */
	if (sweep && db_is_full(server->db)) {
		refuse_full(sampler);
		free(sweep);
		sweep = NULL;
	}
	if (!sweep) {
		sampler->due = false;
		schedule(server);
		return;
	}
	sweep->server = server;
	sweep->number = ++sampler->sweeps;
	sweep->began_boot_usec = clock_boot_usec();
	TAILQ_INIT(&sweep->waiters);
	TAILQ_CONCAT(&sweep->waiters, &sampler->waiters, entry);
	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		t->sweeping = !on_demand || t->sweep_wanted;
		t->sweep_wanted = false;
	}
	sampler->sweep = sweep;
	sampler->on_demand = on_demand;
	sampler->due = false;
	sampler->tx = db_tx_new();
	sampler->tenant[0] = '\0';
	sampler->container[0] = '\0';
	sampler->samples = 0;
	sampler->began_boot_usec = clock_boot_usec();
	look_at_clock(server);
	traffic_look(server, 0, on_traffic, server);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	if (server->sampler->sweep)
		server->sampler->due = true;
	else
		begin_sweep(server, false);
}

static void on_demand(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct sampler *sampler = server->sampler;

	(void)fd;
	(void)what;
	if (!sampler->sweep && !TAILQ_EMPTY(&sampler->waiters))
		begin_sweep(server, true);
}

static bool any_running(const struct tenant *t)
{
	struct map_node *node;

	MAP_FOREACH(node, &t->containers)
	if (run_is_readable(&map_object(node, struct container, by_name)->run))
		return true;
	return false;
}

int sampler_catch_up(struct server *server, struct tenant *only,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct sampler *sampler = server->sampler;
	struct map_node *node;
	bool any = false;
	int r;

	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		if ((only && t != only) || !any_running(t))
			continue;
		t->sweep_wanted = true;
		any = true;
	}
	if (!any) {
		done(arg, NULL);
		return 0;
	}
	r = waiters_add(&sampler->waiters, done, arg, err);
	if (r == 0)
		schedule_demand(sampler);
	return r;
}

int sampler_create(struct server *server, struct err *err)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));

	server->sampler = sampler;
	if (!sampler)
		return err_oom(err);
	TAILQ_INIT(&sampler->waiters);
	sampler->expired_wall_usec = clock_wall_usec();
	sampler->timer = evtimer_new(server->base, on_timer, server);
	sampler->turn = evtimer_new(server->base, on_turn, server);
	sampler->demand = evtimer_new(server->base, on_demand, server);
	if (!sampler->timer || !sampler->turn || !sampler->demand)
		return err_oom(err);
	schedule(server);
	return 0;
}

void sampler_destroy(struct server *server)
{
	struct sampler *sampler = server->sampler;
	struct event *events[3];
	struct err err;

	if (!sampler)
		return;
	events[0] = sampler->timer;
	events[1] = sampler->turn;
	events[2] = sampler->demand;
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	err_set(&err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
	waiters_call(&sampler->waiters, &err);
	if (sampler->sweep)
		sweep_end(sampler->sweep, &err);
	db_tx_free(sampler->tx);
	free(sampler);
	server->sampler = NULL;
}

struct hit {
	struct container *container; /* a reference */
	char run_id[RUN_ID_SIZE];
	struct fault_report before;
};

/* What was not told after all is told by the next sample. */
static void on_hit_told(void *arg, const struct err *err)
{
	struct hit *hit = arg;

	if (err && !strcmp(hit->container->run.id, hit->run_id))
		hit->container->run.reported = hit->before;
	container_unref(hit->container);
	free(hit);
}

static void commit_hit(struct server *server, struct db_tx *tx, struct container *c,
	const struct fault_report *before)
{
	struct hit *hit = malloc(sizeof(*hit));

	if (!hit) {
		c->run.reported = *before;
		db_tx_free(tx);
		return;
	}
	hit->container = container_ref(c);
	memcpy(hit->run_id, c->run.id, sizeof(hit->run_id));
	hit->before = *before;
	db_commit(server->db, tx, on_hit_told, hit);
}

/* What the present sweep says of the run is committed behind all that is committed meanwhile. */
static bool is_in_sweep(const struct sampler *sampler, const struct run *run)
{
	return sampler && sampler->tx && run->unsure.sequence &&
	       run->unsure.sweep == sampler->sweep->number;
}

void sampler_limit_hit(struct server *server, const struct msg_limit_hit *msg)
{
	struct tenant *t = model_any_tenant(&server->model, msg->tenant);
	struct container *c = t ? model_any_container(t, msg->container) : NULL;
	uint64_t now = clock_boot_usec();
	struct fault_report before;
	struct db_tx *tx;
	bool in_sweep;

	/* What cannot be told now is told later: it is counted all the same. */
	if (!c || strcmp(c->run.id, msg->run_id) != 0 || c->end_pending || c->run.end_wall_usec ||
		db_is_full(server->db) || !faults_pending(c, &msg->counters, now))
		return;
	before = c->run.reported;
	in_sweep = is_in_sweep(server->sampler, &c->run);
	tx = in_sweep ? server->sampler->tx : db_tx_new();
	faults_add_events(tx, c, &msg->counters, now, false);
	store_reported(tx, &c->run);
	/* A sweep that cannot be committed takes it back itself. */
	if (!in_sweep)
		commit_hit(server, tx, c, &before);
}
