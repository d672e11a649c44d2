/*
 * Usage.ReportNoisyNeighbours: two looks at all that runs, a window apart, and what noisy.c makes
 * of them. Nothing of it is kept.
 */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/convert.h"
#include "server/grpc_turns.h"
#include "server/live.h"
#include "server/noisy_window.h"

#include "croft/v1/usage.pb-c.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_DEFAULT_S 10
#define WINDOW_MAX_S	 60
/* Each keeps the figures of all containers for as long as its window is. */
#define REPORTS_MAX 8

struct job {
	struct turns turns; /* pending: a look is waited for; not the timer */
	struct server *server;
	struct event *timer;	     /* owned: the end of the window */
	struct noisy_window *window; /* owned */
	uint32_t window_s;
};

static void job_free(struct turns *turns)
{
	struct job *job = (struct job *)turns;

	job->server->n_noisy_reports--;
	if (job->timer)
		event_free(job->timer);
	noisy_window_close(job->window);
	free(job);
}

/* --- The reply -------------------------------------------------------------------------------- */

#define ROWS_MAX (NOISY_VERDICTS_MAX * NOISY_CULPRITS_MAX)

struct row {
	Croft__V1__NoisyNeighbour msg;
	char victim[RESOURCE_SIZE];
	char culprit[RESOURCE_SIZE];
};

struct reply {
	Croft__V1__NoisyNeighbourReport msg;
	Google__Protobuf__Timestamp time;
	struct row rows[ROWS_MAX];
	Croft__V1__NoisyNeighbour *list[ROWS_MAX];
};

static void name_of(const struct noisy_container *one, char ret[static RESOURCE_SIZE])
{
	const struct container *c = one->who;

	snprintf(ret, RESOURCE_SIZE, "tenants/%s/containers/%s", c->tenant->name, c->name);
}

/* Of a tenant its containers together, but for the victim. */
static bool is_of(const struct noisy_verdict *v, const struct noisy_culprit *culprit,
	const struct noisy_container *one)
{
	return culprit->who == NOISY_CONTAINER ? one == culprit->one
					       : one->tenant == culprit->tenant && one != v->victim;
}

static void fill_used(const struct noisy_report *report, const struct noisy_verdict *v,
	const struct noisy_culprit *culprit, Croft__V1__NoisyNeighbour *msg)
{
	if (culprit->who == NOISY_OUTSIDE) {
		msg->used = report->scene.outside[v->of];
		return;
	}
	for (size_t i = 0; i < report->scene.n; i++) {
		const struct io_usage *io = &report->io[i];

		if (!is_of(v, culprit, &report->list[i]))
			continue;
		if (v->of == STALL_IO) {
			msg->used += io->read_bytes + io->write_bytes;
			msg->used_ops += io->read_ops + io->write_ops;
		} else {
			msg->used += report->list[i].used[v->of];
		}
	}
}

static void fill_culprit(const struct noisy_report *report, const struct noisy_verdict *v,
	const struct noisy_culprit *culprit, struct row *row)
{
	const struct tenant *t;

	row->msg.share_permyriad = culprit->share;
	row->msg.fair_permyriad = culprit->fair;
	row->msg.above_fair_share = culprit->above_fair;
	row->msg.same_tenant = culprit->who != NOISY_OUTSIDE &&
			       culprit->tenant == v->victim->tenant;
	fill_used(report, v, culprit, &row->msg);
	switch (culprit->who) {
	case NOISY_CONTAINER:
		name_of(culprit->one, row->culprit);
		break;
	case NOISY_TENANT:
		t = report->tenants[culprit->tenant].who;
		snprintf(row->culprit, sizeof(row->culprit), "tenants/%s", t->name);
		break;
	case NOISY_OUTSIDE:
		snprintf(row->culprit, sizeof(row->culprit), "outside");
		break;
	}
}

/* culprit NULL: there is none that is known. */
static void add_row(struct reply *reply, const struct noisy_report *report,
	const struct noisy_verdict *v, const struct noisy_culprit *culprit)
{
	static const char *const names[STALL_N] = {
		[STALL_CPU] = "cpu", [STALL_MEMORY] = "memory", [STALL_IO] = "io"};
	struct row *row = &reply->rows[reply->msg.n_neighbours];

	croft__v1__noisy_neighbour__init(&row->msg);
	name_of(v->victim, row->victim);
	row->msg.victim = row->victim;
	row->msg.culprit = row->culprit;
	row->msg.waits_for = (char *)names[v->of];
	row->msg.within = (char *)(v->in_tenant ? "tenant" : "host");
	row->msg.waited_permyriad = v->waited;
	row->msg.own_permyriad = v->own;
	row->msg.held_up_permyriad = v->held_up;
	if (culprit)
		fill_culprit(report, v, culprit, row);
	reply->list[reply->msg.n_neighbours++] = &row->msg;
}

static void fill(struct reply *reply, const struct noisy_report *report)
{
	croft__v1__noisy_neighbour_report__init(&reply->msg);
	convert_time(clock_wall_usec(), &reply->time);
	reply->msg.read_time = &reply->time;
	reply->msg.window_usec = report->window_usec;
	reply->msg.containers = report->containers;
	reply->msg.victims_left_out = (uint32_t)report->left_out;
	reply->msg.neighbours = reply->list;
	for (size_t i = 0; i < report->n; i++) {
		const struct noisy_verdict *v = &report->verdicts[i];

		if (!v->n_culprits)
			add_row(reply, report, v, NULL);
		for (size_t k = 0; k < v->n_culprits; k++)
			add_row(reply, report, v, &v->culprits[k]);
	}
}

/* --- The two looks ---------------------------------------------------------------------------- */

static int answer(struct job *job, struct err *err)
{
	struct noisy_report *report;
	struct reply *reply;
	int r = noisy_window_judge(job->server, job->window, &report, err);

	if (r < 0)
		return r;
	reply = calloc(1, sizeof(*reply));
	if (!reply) {
		r = err_oom(err);
	} else if (!report->counted) {
		r = err_set(err, ERR_FAILED_PRECONDITION, "PRESSURE_NOT_COUNTED",
			"this host's kernel does not count who waits; boot it with psi=1, and "
			"without cgroup_disable=pressure");
	} else {
		fill(reply, report);
		turns_reply(&job->turns, &reply->msg.base);
	}
	free(reply);
	noisy_report_free(report);
	return r;
}

static void on_second_look(void *arg, const struct err *failure)
{
	struct job *job = arg;
	struct err err;

	if (turns_back(&job->turns, failure) && answer(job, &err) < 0)
		turns_fail(&job->turns, &err);
}

static void on_window_end(evutil_socket_t fd, short what, void *arg)
{
	struct job *job = arg;
	struct err err;

	(void)fd;
	(void)what;
	job->turns.pending = true;
	if (live_look(job->server, NULL, on_second_look, job, &err) < 0)
		turns_fail(&job->turns, &err);
}

static int begin_window(struct job *job, struct err *err)
{
	struct timeval window = {.tv_sec = job->window_s};
	int r = noisy_window_open(job->server, &job->window, err);

	if (r < 0)
		return r;
	job->timer = evtimer_new(job->server->base, on_window_end, job);
	return job->timer && evtimer_add(job->timer, &window) == 0 ? 0 : err_oom(err);
}

static void on_first_look(void *arg, const struct err *failure)
{
	struct job *job = arg;
	struct err err;

	if (turns_back(&job->turns, failure) && begin_window(job, &err) < 0)
		turns_fail(&job->turns, &err);
}

static int check(const struct server *server,
	const Croft__V1__ReportNoisyNeighboursRequest *request, struct err *err)
{
	if (request->window_seconds > WINDOW_MAX_S)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "WINDOW_INVALID",
			"window_seconds", "the window is 1 to %u seconds, not %u", WINDOW_MAX_S,
			request->window_seconds);
	if (server->n_noisy_reports >= REPORTS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_REPORTS",
			"%u reports on noisy neighbours are being made; try again when one is done",
			REPORTS_MAX);
	return 0;
}

static void report_noisy_neighbours(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ReportNoisyNeighboursRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct job *job = NULL;
	struct err err;
	int r = check(server, request, &err);

	if (r == 0) {
		job = calloc(1, sizeof(*job));
		r = job ? 0 : err_oom(&err);
	}
	if (r < 0) {
		grpc_fail(call, &err);
		return;
	}
	job->turns.free = job_free;
	job->turns.pending = true;
	job->server = server;
	job->window_s = request->window_seconds ? request->window_seconds : WINDOW_DEFAULT_S;
	server->n_noisy_reports++;
	turns_begin(&job->turns, call);
	if (live_look(server, NULL, on_first_look, job, &err) < 0)
		turns_fail(&job->turns, &err);
}

const struct grpc_handler svc_usage_noisy_handlers[] = {
	{.path = "/croft.v1.Usage/ReportNoisyNeighbours",
		.start = report_noisy_neighbours,
		.cancelled = turns_cancelled},
	{.path = NULL},
};
