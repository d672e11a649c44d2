/*
 * Roll-outs of plans; see plan_rollout.h. One tenant at a time, so that a plan of thousands does
 * not keep the supervisor's workers from everybody else.
 */
#include "server/plan_rollout.h"

#include "base/log.h"
#include "server/tenant_change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rollout {
	struct server *server;
	struct plan *plan;
	bool force;
	bool waiting;	       /* for a tenant's change */
	bool walking;	       /* walk() is on the stack */
	struct tenant *tenant; /* the one whose turn it is; a reference */
	char after[NAME_SIZE];
	void (*done)(void *arg);
	void *arg;
};

static void walk(struct rollout *r);

static void remember(struct tenant *t, const struct err *err)
{
	free(t->plan_refusal);
	t->plan_refusal = err ? strdup(err->msg) : NULL;
}

static void on_changed(void *arg, const struct err *err)
{
	struct rollout *r = arg;

	if (err)
		log_info("plan-refused plan=%s tenant=%s error=\"%s\"", r->plan->name,
			r->tenant->name, err->msg);
	remember(r->tenant, err);
	tenant_unref(r->tenant);
	r->tenant = NULL;
	r->waiting = false;
	if (!r->walking)
		walk(r);
}

static void begin(struct rollout *r, struct tenant *t)
{
	struct tenant_op *op;

	snprintf(r->after, sizeof(r->after), "%s", t->name);
	r->tenant = tenant_ref(t);
	r->waiting = true;
	op = tenant_op_begin_own(r->server, t, on_changed, r);
	if (!op)
		return;
	tenant_op_copy(op);
	op->force = r->force;
	plan_apply(&r->plan->limits, &t->limits, t->own_limits, &op->limits);
	tenant_change(op);
}

/* A change may end before begin() returns: a loop, so that no number of them fills the stack. */
static void walk(struct rollout *r)
{
	struct tenant *t = NULL;

	r->walking = true;
	while (!r->waiting) {
		t = r->server->ending ? NULL
				      : plan_next_behind(&r->server->model, r->plan, r->after);
		if (!t)
			break;
		begin(r, t);
	}
	r->walking = false;
	if (r->waiting)
		return;
	r->plan->changing = false;
	r->done(r->arg);
	free(r);
}

int plan_rollout(struct server *server, struct plan *plan, bool force, void (*done)(void *arg),
	void *arg, struct err *err)
{
	struct rollout *r = calloc(1, sizeof(*r));

	if (!r)
		return err_oom(err);
	r->server = server;
	r->plan = plan;
	r->force = force;
	r->done = done;
	r->arg = arg;
	walk(r);
	return 0;
}

static void on_resumed(void *arg)
{
	const struct plan *plan = arg;

	log_info("plan-rolled-out plan=%s", plan->name);
}

/* True when a tenant is behind that has not said no since croftd started. */
static bool has_pending(const struct model *model, const struct plan *plan)
{
	const struct tenant *t = NULL;

	while ((t = plan_next_behind(model, plan, t ? t->name : "")))
		if (!t->plan_refusal)
			return true;
	return false;
}

void plan_rollout_resume(struct server *server)
{
	struct map_node *node;

	MAP_FOREACH(node, &server->model.plans)
	{
		struct plan *plan = map_object(node, struct plan, by_name);
		struct err err;

		if (plan->changing || !plan->visible || !has_pending(&server->model, plan))
			continue;
		plan->changing = true;
		if (plan_rollout(server, plan, false, on_resumed, plan, &err) < 0) {
			plan->changing = false;
			log_error("plan-not-rolled-out plan=%s error=\"%s\"", plan->name, err.msg);
		}
	}
}
