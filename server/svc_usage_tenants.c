/* Usage.SummarizeTenants: a period's sums of every tenant that has records in it. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/grpc_turns.h"
#include "server/ledger.h"
#include "server/sampler.h"
#include "server/usage_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sums_of_tenant {
	struct map_node by_uid;
	char uid[UID_SIZE];
	char name[RESOURCE_SIZE];
	char account_ref[ACCOUNT_REF_MAX + 1];
	int64_t latest_usec; /* the start of the window that these are of */
	struct usage_sums sums;
};

struct summary {
	/* pending: a sweep is waited for, or the database's thread reads into the cursor */
	struct turns turns;
	struct server *server;
	struct export_cursor cursor;
	struct map tenants;    /* struct sums_of_tenant, owned; the database's thread fills it */
	size_t hours;	       /* that it keeps of them */
	size_t held;	       /* of them in server->n_usage_hours */
	char ranked[UID_SIZE]; /* the last one */
	char sent[UID_SIZE];
};

static void summary_free(struct turns *turns)
{
	struct summary *s = (struct summary *)turns;
	struct map_node *node;

	while ((node = map_after(&s->tenants, ""))) {
		struct sums_of_tenant *of = map_object(node, struct sums_of_tenant, by_uid);

		map_remove(&s->tenants, node);
		usage_sums_finish(&of->sums);
		free(of);
	}
	s->server->n_usage_hours -= s->held;
	export_cursor_finish(&s->cursor);
	free(s);
}

static struct sums_of_tenant *find(struct summary *s, const char *uid)
{
	struct map_node *node = map_find(&s->tenants, uid);
	struct sums_of_tenant *of;

	if (node)
		return map_object(node, struct sums_of_tenant, by_uid);
	of = calloc(1, sizeof(*of));
	if (!of)
		return NULL;
	of->latest_usec = INT64_MIN;
	snprintf(of->uid, sizeof(of->uid), "%s", uid);
	map_insert(&s->tenants, &of->by_uid, of->uid);
	return of;
}

static int add(struct summary *s, const struct export_item *item, struct err *err)
{
	const struct ledger_entry *entry = &item->entry;
	struct sums_of_tenant *of = find(s, entry->tenant_uid);

	if (!of)
		return err_oom(err);
	if (usage_sums_add(&of->sums, item, usage_period_is_ranked(&s->cursor) ? &s->hours : NULL,
		    err) < 0)
		return -ENOMEM;
	if (entry->window_start_usec >= of->latest_usec) {
		of->latest_usec = entry->window_start_usec;
		snprintf(of->name, sizeof(of->name), "tenants/%s", entry->tenant);
		memcpy(of->account_ref, entry->account_ref, sizeof(of->account_ref));
	}
	return 0;
}

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct summary *s = arg;
	int r = export_step(db, &s->cursor, err);

	for (size_t i = 0; r == 0 && i < s->cursor.n_items; i++)
		r = add(s, &s->cursor.items[i], err);
	return r;
}

static struct sums_of_tenant *behind(struct summary *s, const char *uid)
{
	struct map_node *node = map_after(&s->tenants, uid);

	return node ? map_object(node, struct sums_of_tenant, by_uid) : NULL;
}

static int rank_step(struct db *db, void *arg, struct err *err)
{
	struct summary *s = arg;
	struct sums_of_tenant *of = behind(s, s->ranked);

	(void)db;
	(void)err;
	usage_sums_rank(&of->sums, &s->cursor, &s->hours);
	memcpy(s->ranked, of->uid, sizeof(s->ranked));
	return 0;
}

static void send_one(struct summary *s, struct sums_of_tenant *of)
{
	struct tenant *t = model_any_tenant(&s->server->model, of->name + strlen("tenants/"));
	struct usage_sums_message out;

	usage_sums_fill(&of->sums, &s->cursor, &out);
	out.msg.name = of->name;
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
	if (usage_hours_hold(&s->server->n_usage_hours, &s->held, s->hours, &full) < 0)
		turns_fail(&s->turns, &full);
	else
		summary_go_on(&s->turns);
}

static void on_thread(struct summary *s, db_read_fn step)
{
	s->turns.pending = true;
	db_read(s->server->db, step, on_step, s);
}

/*
 * Reads all there is, ranks a tenant at a time, and sends them when no hours are kept any more, as
 * long as the client may take.
 */
static void summary_go_on(struct turns *turns)
{
	struct summary *s = (struct summary *)turns;
	struct sums_of_tenant *of;

	if (s->cursor.phase != EXPORT_DONE) {
		on_thread(s, read_step);
		return;
	}
	if (usage_period_is_ranked(&s->cursor) && behind(s, s->ranked)) {
		on_thread(s, rank_step);
		return;
	}
	while (grpc_call_writable(turns->call)) {
		of = behind(s, s->sent);
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
