/*
 * What is done about a case; see abuse_internal.h. Each of these is what an operator could do by
 * hand, and goes the same way. None is begun before the case is on record, and each is begun again
 * by the next croftd when it is not known to be done.
 */
#include "server/abuse_internal.h"

#include "base/log.h"
#include "server/container_move.h"
#include "server/container_state.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/reconcile.h"
#include "server/tenant_hold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is on record that it was done; when that fails, the next croftd does it again. */
static void finish(struct abuse_case *one, const char *outcome)
{
	struct db_tx *tx = db_tx_new_essential();

	one->acting = false;
	one->record.acted = true;
	snprintf(one->record.outcome, sizeof(one->record.outcome), "%s", outcome);
	store_abuse_acted(tx, &one->record);
	db_commit(one->server->db, tx, NULL, NULL);
}

/* Tried again after the next sweep. */
static void put_off(struct abuse_case *one, const struct err *err)
{
	one->acting = false;
	snprintf(one->record.outcome, sizeof(one->record.outcome), "%.*s", ABUSE_OUTCOME_SIZE - 1,
		err->msg);
	log_warning("abuse-not-acted number=%" PRIu64 " tenant=%s rule=%s error=\"%s\"",
		one->record.number, one->tenant->name, one->record.rule, err->msg);
}

/* --- holds --- */

#define SET_BY "abuse:%" PRIu64

#define FOUND_HELD "the tenant had an abuse hold already"

static void set_by(const struct abuse_case *one, char out[static ACTOR_SIZE])
{
	snprintf(out, ACTOR_SIZE, SET_BY, one->record.number);
}

bool abuse_found_held(const struct abuse_record *r)
{
	return r->acted && !strcmp(r->outcome, FOUND_HELD);
}

bool abuse_is_holding(const struct abuse_case *one)
{
	const struct hold *hold = &one->tenant->holds[HOLD_ABUSE];
	char mine[ACTOR_SIZE];

	set_by(one, mine);
	return hold->set && !strcmp(hold->set_by, mine);
}

static void on_held(void *arg, const struct err *err)
{
	struct abuse_case *one = arg;

	if (err)
		put_off(one, err);
	else
		finish(one, "the tenant is suspended by an abuse hold");
}

static void hold(struct abuse_case *one)
{
	struct server *server = one->server;
	struct tenant *t = one->tenant;
	struct hold hold = {.set = true, .set_wall_usec = clock_wall_usec()};
	char value[ABUSE_VALUE_TEXT_MAX];

	if (abuse_is_holding(one)) {
		finish(one, "the tenant is suspended by an abuse hold");
		return;
	}
	if (t->holds[HOLD_ABUSE].set) {
		one->found_held = true;
		finish(one, FOUND_HELD);
		return;
	}
	if (one->record.action == ABUSE_FREEZE || one->record.grace_s == ABUSE_GRACE_NEVER)
		hold.grace_s = HOLD_GRACE_NEVER;
	else if (one->record.grace_s == ABUSE_GRACE_DEFAULT)
		hold.grace_s = server->config->hold_grace_s;
	else
		hold.grace_s = one->record.grace_s;
	set_by(one, hold.set_by);
	snprintf(hold.reason, sizeof(hold.reason), "rule %s: %s %s", one->record.rule,
		abuse_signal_row(one->record.signal)->name,
		abuse_value_format(one->record.signal, one->record.value, value));
	tenant_hold_set(server, t, HOLD_ABUSE, &hold, on_held, one);
}

void abuse_lift_hold(
	struct abuse_case *one, void (*done)(void *arg, const struct err *err), void *arg)
{
	tenant_hold_lift(one->server, one->tenant, HOLD_ABUSE, done, arg);
}

/* --- stopping --- */

static void on_stopped(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
}

static bool stop_one(struct server *server, struct container *c)
{
	struct err err;

	if (!container_state_is_live(c->state) || c->state == CONTAINER_STOPPING || c->gone ||
		c->condemned || c->end_pending)
		return false;
	if (stop_container(server, c, STOP_TIMEOUT_DEFAULT_MS, on_stopped, NULL, &err) == 0) {
		stop_record(server, c, STOP_TIMEOUT_DEFAULT_MS);
		return true;
	}
	log_warning("abuse-not-stopped tenant=%s container=%s error=\"%s\"", c->tenant->name,
		c->name, err.msg);
	return false;
}

static void stop(struct abuse_case *one)
{
	char outcome[ABUSE_OUTCOME_SIZE];
	struct map_node *node;
	unsigned n = 0;

	if (one->container)
		n = stop_one(one->server, one->container);
	else
		MAP_FOREACH(node, &one->tenant->containers)
	n += stop_one(one->server, map_object(node, struct container, by_name));
	snprintf(outcome, sizeof(outcome), "%u container%s told to stop", n, n == 1 ? "" : "s");
	finish(one, outcome);
}

/* --- throttles --- */

static uint64_t lower(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* All throttles of a subject together: the least that any of them leaves. */
static struct abuse_throttle wanted(
	struct server *server, const struct tenant *t, const struct container *c)
{
	struct abuse_throttle sum = {0};
	const struct abuse_case *one;

	LIST_FOREACH (one, &server->abuse->cases, entry) {
		const struct abuse_record *r = &one->record;

		if (one->tenant != t || one->container != c || r->action != ABUSE_THROTTLE ||
			r->dry_run || !r->acted)
			continue;
		sum.cpu_percent = (uint32_t)lower(sum.cpu_percent, r->throttle.cpu_percent);
		sum.rate_in = lower(sum.rate_in, r->throttle.rate_in);
		sum.rate_out = lower(sum.rate_out, r->throttle.rate_out);
	}
	return sum;
}

static bool is_same(const struct abuse_throttle *a, const struct abuse_throttle *b)
{
	return a->cpu_percent == b->cpu_percent && a->rate_in == b->rate_in &&
	       a->rate_out == b->rate_out;
}

struct applying {
	struct server *server;
	struct tenant *tenant;	     /* a reference */
	struct container *container; /* a reference; NULL: the tenant */
	struct abuse_throttle sent;
};

static void released(struct server *server, const struct tenant *t, const struct container *c)
{
	struct db_tx *tx = db_tx_new_essential();

	store_abuse_released(tx, t->uid, c ? c->uid : "");
	db_commit(server->db, tx, NULL, NULL);
}

static void on_applied(void *arg, const struct err *err)
{
	struct applying *a = arg;
	struct abuse_subject *s = a->container ? a->container->abuse : a->tenant->abuse;

	s->applying = false;
	if (err)
		log_warning("throttle-not-set tenant=%s container=%s error=\"%s\"", a->tenant->name,
			a->container ? a->container->name : "", err->msg);
	else if (is_same(&a->sent, &s->throttle)) {
		s->dirty = false;
		released(a->server, a->tenant, a->container);
	}
	container_unref(a->container);
	tenant_unref(a->tenant);
	free(a);
}

static void on_tenant_set(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	(void)reply;
	link_close_fds(fds, n_fds);
	on_applied(arg, err);
}

static int send(struct applying *a, struct err *err)
{
	struct msg_tenant_set msg;

	if (a->container)
		return container_move(
			a->server, a->container, a->container->cpus, on_applied, a, err);
	reconcile_fill_tenant(a->tenant, true, &msg);
	return link_send(a->server->link, MSG_TENANT_SET, &msg, NULL, 0, on_tenant_set, a, err);
}

/* What does not run has its limits at the next start. */
static bool is_at_rest(const struct container *c)
{
	return !container_state_is_live(c->state) && !c->start_pending;
}

void abuse_throttle_retry(struct server *server, struct tenant *t, struct container *c)
{
	struct abuse_subject *s = c ? c->abuse : t->abuse;
	struct applying *a;
	struct err err;

	if (!s || !s->dirty || s->applying || !link_is_ready(server->link) || t->gone)
		return;
	if (c && is_at_rest(c)) {
		s->dirty = false;
		released(server, t, c);
		return;
	}
	if (c ? !container_move_is_possible(c)
	      : t->changing || t->deleting || t->limits_refusal[0] || t->allowance.busy)
		return;
	a = malloc(sizeof(*a));
	if (!a)
		return;
	*a = (struct applying){server, tenant_ref(t), c ? container_ref(c) : NULL, s->throttle};
	s->applying = true;
	if (send(a, &err) < 0)
		on_applied(a, &err);
}

void abuse_throttle_refresh(struct server *server, struct tenant *t, struct container *c)
{
	struct abuse_subject *s = c ? c->abuse : t->abuse;
	struct abuse_throttle sum;

	if (!s)
		return;
	sum = wanted(server, t, c);
	if (!is_same(&sum, &s->throttle)) {
		s->throttle = sum;
		s->dirty = true;
	}
	if (server->link)
		abuse_throttle_retry(server, t, c);
}

void abuse_act(struct abuse_case *one)
{
	one->acting = true;
	if (one->record.dry_run) {
		finish(one, "nothing was done: the rule is being tried");
		return;
	}
	switch (one->record.action) {
	case ABUSE_THROTTLE:
		finish(one, "it is slowed down");
		abuse_throttle_refresh(one->server, one->tenant, one->container);
		break;
	case ABUSE_STOP:
		stop(one);
		break;
	case ABUSE_FREEZE:
	case ABUSE_HOLD:
		hold(one);
		break;
	default:
		finish(one, "it was told");
		break;
	}
}
