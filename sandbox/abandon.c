/*
 * Abandoned starts; see abandon.h. The builder told its id range as soon as it had one, so that it
 * is not lost with it; everything else is found by the container's name.
 */
#include "sandbox/abandon.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/teardown.h"

#include <string.h>

#define RETRY_MS 5000

struct abandoned {
	struct container *c;
	struct request request;
	bool answered;
	struct err why;
	struct teardown_stray stray;
};

static void take_back(struct abandoned *a);

static int work(void *arg, struct job_output *out, struct err *err)
{
	struct abandoned *a = arg;

	return teardown_stray_run(&a->stray, out, err);
}

static void on_retry(struct timer *timer)
{
	take_back(timer->arg);
}

/* Once, when it has been tried: who is told so before would forget what a crash then leaves. */
static void answer(struct abandoned *a)
{
	if (!a->answered)
		peer_fail(a->c->s->peer, &a->request, &a->why);
	a->answered = true;
}

static void taken_back(void *arg, struct job_result *result)
{
	struct abandoned *a = arg;
	struct container *c = a->c;

	if (result->r < 0) {
		log_error("start not taken back tenant=%s container=%s error=\"%s\"",
			c->cgroup.tenant, c->cgroup.container, result->err.msg);
		answer(a);
		timer_start(c->s->reactor, &c->retry_timer, RETRY_MS, on_retry, a);
		return;
	}
	log_warning(
		"start taken back tenant=%s container=%s", c->cgroup.tenant, c->cgroup.container);
	container_move(c, CONTAINER_NONE);
	answer(a);
	free(a);
	container_forget(c);
}

static void take_back(struct abandoned *a)
{
	struct job_options options = {
		.fn = work,
		.done = taken_back,
		.arg = a,
		.into_cgroup_fd = -1,
	};
	struct job_result failed = {0};

	failed.r = job_start(a->c->s->jobs, &options, &failed.err);
	if (failed.r < 0)
		taken_back(a, &failed);
}

void abandon_start(struct container *c, const struct request *request, const struct err *why)
{
	struct supervisor *s = c->s;
	struct abandoned *a = calloc(1, sizeof(*a));

	if (!a) {
		/* The next supervisor finds the cgroup, and nobody's id range. */
		log_error("start not taken back: out of memory");
		peer_fail(s->peer, request, why);
		return;
	}
	a->c = c;
	a->request = *request;
	a->why = *why;
	a->stray = (struct teardown_stray){
		.id = c->cgroup,
		.cgroups = s->cgroups,
		.runs_fd = s->runs_fd,
		.fifos_fd = s->fifos_fd,
		.refused_fd = s->refused_fd,
		.names_fd = s->names_fd,
		.ids = s->ids,
		.id_base = c->file.id_base,
		.net_plan = &s->net_plan,
		.net_number = c->file.net_number,
		.net_slot = c->file.net_slot,
		.pool = c->makes_upper ? s->pool : NULL,
	};
	take_back(a);
}
