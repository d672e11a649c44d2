/* The sweep over all counters; see sampler.h. Never reads more than a slice in one turn. */
#include "server/sampler.h"

#include "base/log.h"
#include "server/faults.h"
#include "server/ledger.h"
#include "server/request_ids.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* Containers a turn of the loop: some ten files each, about a tenth of a millisecond together. */
#define SLICE		  16
#define EXPIRE_EVERY_USEC (3600 * INT64_C(1000000))

struct sampler {
	struct event *timer; /* the next sweep */
	struct event *turn;  /* the next slice of this sweep */
	struct db_tx *tx;    /* of this sweep; NULL between two */
	char tenant[NAME_SIZE];
	char container[NAME_SIZE]; /* where the sweep has come to */
	size_t samples;
	int64_t expired_wall_usec;
};

int sampler_read_now(const struct run *run, struct usage_point *ret)
{
	struct usage_point point = {.sequence = run->last.sequence + 1};
	struct err err;
	int r;

	if (!run->files || !run->confirmed || run->end_wall_usec)
		return -ENOENT;
	point.boot_usec = clock_boot_usec();
	point.wall_usec = clock_wall_usec();
	r = counters_read(run->files, &point.counters, &err);
	if (r == 0)
		*ret = point;
	return r;
}

static void sample_container(struct server *server, struct container *c)
{
	struct sampler *sampler = server->sampler;
	struct usage_point point;

	if (c->start_pending || c->end_pending || sampler_read_now(&c->run, &point) < 0)
		return;
	ledger_add_sample(server, sampler->tx, c, &point, false);
	ledger_add_totals(sampler->tx, c);
	sampler->samples++;
}

static void sample_tenant(struct server *server, struct tenant *t)
{
	struct sampler *sampler = server->sampler;
	struct usage_point point;

	if (sampler_read_now(&t->own, &point) < 0)
		return;
	ledger_add_own_sample(server, sampler->tx, t, &point);
	sampler->samples++;
}

static void on_committed(void *arg, const struct err *err)
{
	(void)arg;
	/* The counters are cumulative: the next sweep brings what this one did not. */
	if (err)
		log_error("sweep-not-committed error=\"%s\"", err->msg);
}

static void schedule(struct server *server)
{
	uint64_t ms = server->config->sample_interval_ms;
	struct timeval pause = {
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	evtimer_add(server->sampler->timer, &pause);
}

static void finish_sweep(struct server *server)
{
	struct sampler *sampler = server->sampler;
	int64_t now = clock_wall_usec();

	if (now - sampler->expired_wall_usec > EXPIRE_EVERY_USEC) {
		sampler->expired_wall_usec = now;
		request_expire(server->requests, sampler->tx, now);
		sampler->samples++;
	}
	if (sampler->samples)
		db_commit(server->db, sampler->tx, on_committed, server);
	else
		db_tx_free(sampler->tx);
	sampler->tx = NULL;
	schedule(server);
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
		node = map_after(&t->containers, sampler->container);
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
	sample_tenant(server, t);
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

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct sampler *sampler = server->sampler;

	sampler->tx = db_tx_new();
	sampler->tenant[0] = '\0';
	sampler->container[0] = '\0';
	sampler->samples = 0;
	on_turn(fd, what, arg);
}

int sampler_create(struct server *server, struct err *err)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));

	server->sampler = sampler;
	if (!sampler)
		return err_oom(err);
	sampler->expired_wall_usec = clock_wall_usec();
	sampler->timer = evtimer_new(server->base, on_timer, server);
	sampler->turn = evtimer_new(server->base, on_turn, server);
	if (!sampler->timer || !sampler->turn)
		return err_oom(err);
	schedule(server);
	return 0;
}

void sampler_destroy(struct server *server)
{
	struct sampler *sampler = server->sampler;

	if (!sampler)
		return;
	if (sampler->timer)
		event_free(sampler->timer);
	if (sampler->turn)
		event_free(sampler->turn);
	db_tx_free(sampler->tx);
	free(sampler);
	server->sampler = NULL;
}

void sampler_limit_hit(struct server *server, const struct msg_limit_hit *msg)
{
	struct tenant *t = model_any_tenant(&server->model, msg->tenant);
	struct container *c = t ? model_any_container(t, msg->container) : NULL;
	uint64_t now = clock_boot_usec();
	struct db_tx *tx;

	if (!c || strcmp(c->run.id, msg->run_id) != 0 || c->end_pending || c->run.end_wall_usec ||
		!faults_pending(c, &msg->counters, now))
		return;
	tx = db_tx_new();
	faults_add_events(tx, c, &msg->counters, now, false);
	db_commit(server->db, tx, NULL, NULL);
}
