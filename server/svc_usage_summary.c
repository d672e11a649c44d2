/* Usage.SummarizeUsage: what a period's records add up to. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/convert.h"
#include "server/ledger.h"
#include "server/sampler.h"
#include "server/usage_sums.h"

#include <errno.h>
#include <string.h>

struct summary {
	struct server *server;
	struct grpc_call *call; /* a reference */
	char name[RESOURCE_SIZE];
	bool of_container;
	struct export_cursor cursor;
	struct usage_sums sums;
	size_t hours;	       /* that they keep: of one tenant's period, which bounds them */
	struct tenant *tenant; /* a reference */
};

static void summary_free(struct summary *s)
{
	if (s->tenant)
		tenant_unref(s->tenant);
	grpc_call_unref(s->call);
	export_cursor_finish(&s->cursor);
	usage_sums_finish(&s->sums);
	free(s);
}

static void reply(struct summary *s)
{
	struct usage_sums_message out;

	usage_sums_fill(&s->sums, &s->cursor, &out);
	out.msg.name = s->name;
	out.msg.tenant_uid = s->tenant->uid;
	out.msg.account_ref = s->tenant->account_ref;
	grpc_reply(s->call, &out.msg.base);
	summary_free(s);
}

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct summary *s = arg;
	bool ranked = usage_period_is_ranked(&s->cursor);
	int r = export_step(db, &s->cursor, err);

	for (size_t i = 0; r == 0 && i < s->cursor.n_items; i++)
		if (!s->of_container || !strcmp(s->cursor.items[i].entry.resource, s->name))
			r = usage_sums_add(
				&s->sums, &s->cursor.items[i], ranked ? &s->hours : NULL, err);
	if (r == 0 && ranked && s->cursor.phase == EXPORT_DONE)
		usage_sums_rank(&s->sums, &s->cursor, &s->hours);
	return r;
}

static void on_step(void *arg, const struct err *err)
{
	struct summary *s = arg;

	if (err) {
		grpc_fail(s->call, err);
		summary_free(s);
	} else if (!grpc_call_is_open(s->call)) {
		/* Nobody waits for it: the database has others to serve. */
		summary_free(s);
	} else if (s->cursor.phase == EXPORT_DONE) {
		reply(s);
	} else {
		db_read(s->server->db, read_step, on_step, s);
	}
}

static void on_caught_up(void *arg, const struct err *err)
{
	struct summary *s = arg;

	usage_period_until_now(&s->cursor);
	on_step(arg, err);
}

static int fill(struct summary *s, const Croft__V1__SummarizeUsageRequest *request, struct err *err)
{
	struct tenant *t;
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	int r = name_parse_resource(request->name, tenant, container, err);

	if (r < 0)
		return r;
	t = model_any_tenant(&s->server->model, tenant);
	if (!t || !t->visible)
		return model_no_tenant(tenant, err);
	r = usage_period_read(request->from, request->to, &s->cursor, err);
	if (r < 0)
		return r;
	s->tenant = tenant_ref(t);
	snprintf(s->name, sizeof(s->name), "%s", request->name);
	s->of_container = container[0];
	memcpy(s->cursor.tenant_uid, t->uid, sizeof(s->cursor.tenant_uid));
	s->cursor.gap_usec = ledger_gap_usec(s->server);
	return 0;
}

static void summarize_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__SummarizeUsageRequest *request = (const void *)message;
	struct summary *s = calloc(1, sizeof(*s));
	struct err err;
	int r;

	if (!s) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	s->server = grpc_call_app(call);
	s->call = grpc_call_ref(call);
	r = fill(s, request, &err);
	if (r == 0 && usage_period_is_past(&s->cursor)) {
		on_step(s, NULL);
		return;
	}
	if (r == 0)
		r = sampler_catch_up(s->server, s->tenant, on_caught_up, s, &err);
	if (r < 0) {
		grpc_fail(call, &err);
		summary_free(s);
	}
}

const struct grpc_handler svc_usage_summary_handlers[] = {
	{.path = "/croft.v1.Usage/SummarizeUsage", .start = summarize_usage},
	{.path = NULL},
};
