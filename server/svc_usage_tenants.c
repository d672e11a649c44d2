/* Usage.SummarizeTenants: a period's sums of every tenant that has records in it. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/grpc_turns.h"
#include "server/ledger.h"
#include "server/sampler.h"
#include "server/tenant_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct summary {
	/* pending: a sweep is waited for, or the database's thread reads into the cursor */
	struct turns turns;
	struct server *server;
	struct export_cursor cursor;
	struct tenant_sums sums; /* the database's thread fills them */
	size_t held;		 /* of their hours in server->n_usage_hours */
	char sent[UID_SIZE];
};

static void summary_free(struct turns *turns)
{
	struct summary *s = (struct summary *)turns;

	tenant_sums_finish(&s->sums);
	s->server->n_usage_hours -= s->held;
	export_cursor_finish(&s->cursor);
	free(s);
}

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct summary *s = arg;

	return tenant_sums_step(db, &s->sums, &s->cursor, err);
}

static void send_one(struct summary *s, struct sums_of_tenant *of)
{
	struct tenant *t = model_any_tenant(&s->server->model, of->name);
	struct usage_sums_message out;
	char name[RESOURCE_SIZE];

	usage_sums_fill(&of->sums, &s->cursor, &out);
	snprintf(name, sizeof(name), "tenants/%s", of->name);
	out.msg.name = name;
	out.msg.tenant_uid = of->uid;
	out.msg.account_ref = t && !strcmp(t->uid, of->uid) ? t->account_ref : of->account_ref;
	memcpy(s->sent, of->uid, sizeof(s->sent));
	grpc_send(s->turns.call, &out.msg.base);
}

static void summary_go_on(struct turns *turns);

static void on_step(void *arg, const struct err *err)
{
	struct summary *s = arg;
	struct err full;

	if (!turns_back(&s->turns, err))
		return;
	if (usage_hours_hold(&s->server->n_usage_hours, &s->held, s->sums.hours, &full) < 0)
		turns_fail(&s->turns, &full);
	else
		summary_go_on(&s->turns);
}

/* Reads all there is, and sends it when no hours are kept any more, while the client takes it. */
static void summary_go_on(struct turns *turns)
{
	struct summary *s = (struct summary *)turns;
	struct sums_of_tenant *of;

	if (!tenant_sums_is_done(&s->sums, &s->cursor)) {
		turns->pending = true;
		db_read(s->server->db, read_step, on_step, s);
		return;
	}
	while (grpc_call_writable(turns->call)) {
		of = tenant_sums_behind(&s->sums, s->sent);
		if (!of) {
			turns_finish(turns);
			return;
		}
		send_one(s, of);
	}
}

static void on_caught_up(void *arg, const struct err *err)
{
	struct summary *s = arg;

	usage_period_until_now(&s->cursor);
	on_step(arg, err);
}

static void summarize_tenants(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__SummarizeTenantsRequest *request = (const void *)message;
	struct summary *s = calloc(1, sizeof(*s));
	struct err err;
	int r;

	if (!s) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	s->turns.go_on = summary_go_on;
	s->turns.free = summary_free;
	s->server = grpc_call_app(call);
	s->cursor.gap_usec = ledger_gap_usec(s->server);
	s->cursor.closed_last = true;
	turns_begin(&s->turns, call);
	r = usage_period_read(request->from, request->to, &s->cursor, &err);
	if (r == 0 && usage_period_is_past(&s->cursor)) {
		summary_go_on(&s->turns);
		return;
	}
	s->turns.pending = true;
	if (r == 0)
		r = sampler_catch_up(s->server, NULL, on_caught_up, s, &err);
	if (r < 0)
		turns_fail(&s->turns, &err);
}

const struct grpc_handler svc_usage_tenants_handlers[] = {
	{.path = "/croft.v1.Usage/SummarizeTenants",
		.start = summarize_tenants,
		.writable = turns_writable,
		.cancelled = turns_cancelled},
	{.path = NULL},
};
