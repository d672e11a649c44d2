/* What a tenant's traffic in its period brings about; see allowance.h. */
#include "server/allowance.h"

#include "base/log.h"
#include "server/allowance_period.h"
#include "server/details.h"
#include "server/events.h"
#include "server/link.h"
#include "server/reconcile.h"
#include "server/store.h"

#include <stdlib.h>

/* A commit, or the supervisor's answer, that is awaited; another look waits as long. */
struct look {
	struct server *server;
	struct tenant *tenant;	 /* a reference */
	struct allowance before; /* where its commit fails */
	uint64_t rate;		 /* what the supervisor was told; LIMIT_UNSET: nothing */
};

static struct look *begin(struct server *server, struct tenant *t)
{
	struct look *look = calloc(1, sizeof(*look));

	if (!look)
		return NULL;
	look->server = server;
	look->tenant = tenant_ref(t);
	t->allowance.busy = true;
	return look;
}

static void end(struct look *look)
{
	look->tenant->allowance.busy = false;
	tenant_unref(look->tenant);
	free(look);
}

static void on_committed(void *arg, const struct err *err)
{
	struct look *look = arg;
	struct server *server = look->server;
	struct tenant *t = tenant_ref(look->tenant);

	if (err) {
		log_error("allowance-not-committed tenant=%s error=\"%s\"", t->name, err->msg);
		t->allowance = look->before;
	}
	end(look);
	if (!err)
		allowance_look(server, t);
	tenant_unref(t);
}

static void details_period(struct details *d, const struct allowance_period *period)
{
	char text[CLOCK_TEXT_MAX];

	details_text(d, "period_start", clock_format(period->start_wall_usec, text));
	details_text(d, "period_end", clock_format(period->end_wall_usec, text));
}

static void add_ended(struct db_tx *tx, const struct tenant *t,
	const struct allowance_period *ended, struct allowance_use used)
{
	char in_text[LIMIT_TEXT_MAX];
	char out_text[LIMIT_TEXT_MAX];
	struct details d;

	details_init(&d);
	details_number(&d, "in_bytes", used.in);
	details_number(&d, "out_bytes", used.out);
	details_period(&d, ended);
	events_add_tenant(tx, t, "tenant.traffic_period", details_end(&d),
		"tenant %s received %s and sent %s in its period of traffic", t->name,
		size_format(used.in, in_text), size_format(used.out, out_text));
}

static void add_used(struct db_tx *tx, const struct tenant *t, unsigned level, enum limit_id limit)
{
	struct allowance_use used = allowance_used(t);
	uint64_t of = t->limits.value[limit];
	char text[LIMIT_TEXT_MAX];
	struct details d;

	details_init(&d);
	details_number(&d, "percent", level);
	details_text(&d, "limit", limit_rule(limit)->name);
	details_number(
		&d, "used_bytes", limit == LIMIT_TRAFFIC_OUT ? used.out : used.in + used.out);
	details_number(&d, "limit_bytes", of);
	details_period(&d, &t->allowance.now);
	events_add_tenant(tx, t, "tenant.traffic_used", details_end(&d),
		"tenant %s has used %u %% of its %s of traffic%s", t->name, level,
		limit_format(limit, of, text), limit == LIMIT_TRAFFIC_OUT ? " to outside" : "");
}

/* True when something is being committed. */
static bool note(struct server *server, struct tenant *t)
{
	struct allowance before = t->allowance;
	struct allowance_use used = allowance_used(t);
	struct allowance_period ended;
	bool turned = allowance_turn(t, clock_wall_usec(), &ended);
	enum limit_id limit;
	unsigned level = allowance_level(allowance_percent(t, &limit));
	struct look *look;
	struct db_tx *tx;

	if (!turned && level == t->allowance.now.told)
		return false;
	look = begin(server, t);
	if (!look) {
		t->allowance = before;
		return false;
	}
	look->before = before;
	tx = db_tx_new();
	if (ended.start_wall_usec)
		add_ended(tx, t, &ended, used);
	if (level > t->allowance.now.told)
		add_used(tx, t, level, limit);
	t->allowance.now.told = level;
	store_put_traffic_period(tx, t);
	db_commit(server->db, tx, on_committed, look);
	return true;
}

/* The supervisor holds its network to that: so the record says. */
static void note_rate(struct look *look)
{
	struct tenant *t = look->tenant;
	struct db_tx *tx = db_tx_new();
	char text[LIMIT_TEXT_MAX];
	struct details d;

	look->before = t->allowance;
	t->allowance.now.slowed_rate = look->rate == LIMIT_UNSET ? 0 : look->rate;
	details_init(&d);
	if (look->rate == LIMIT_UNSET) {
		events_add_tenant(tx, t, "tenant.traffic_restored", details_end(&d),
			"tenant %s has the rates of its limits again", t->name);
	} else {
		details_number(&d, "rate_bytes", look->rate);
		events_add_tenant(tx, t, "tenant.traffic_slowed", details_end(&d),
			"tenant %s has used up its traffic: its network is slowed to %s", t->name,
			limit_format(LIMIT_TRAFFIC_RATE, look->rate, text));
	}
	store_put_traffic_period(tx, t);
	db_commit(look->server->db, tx, on_committed, look);
}

static void on_slowed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct look *look = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (!err) {
		note_rate(look);
		return;
	}
	log_error("allowance-rate-not-set tenant=%s error=\"%s\"", look->tenant->name, err->msg);
	end(look);
}

/* It has its limits already: the message says them again, with the rates as they are to be now. */
static void slow(struct server *server, struct tenant *t)
{
	struct msg_tenant_set msg;
	struct look *look;
	struct err err;

	if (t->limits_refusal[0] || t->changing)
		return;
	look = begin(server, t);
	if (!look)
		return;
	look->rate = allowance_rate(t);
	reconcile_fill_tenant(t, true, &msg);
	if (link_send(server->link, MSG_TENANT_SET, &msg, NULL, 0, on_slowed, look, &err) < 0)
		end(look);
}

void allowance_begin(struct db_tx *tx, struct tenant *t)
{
	struct allowance_period none;

	allowance_turn(t, clock_wall_usec(), &none);
	store_put_traffic_period(tx, t);
}

void allowance_look(struct server *server, struct tenant *t)
{
	uint64_t rate;

	if (!t->visible || t->deleting || t->gone || t->allowance.busy || db_is_full(server->db) ||
		server->shutting_down || note(server, t))
		return;
	rate = allowance_rate(t);
	if ((rate == LIMIT_UNSET ? 0 : rate) != t->allowance.now.slowed_rate)
		slow(server, t);
}

void allowance_look_all(struct server *server)
{
	struct map_node *node;

	MAP_FOREACH(node, &server->model.tenants)
	allowance_look(server, map_object(node, struct tenant, by_name));
}
