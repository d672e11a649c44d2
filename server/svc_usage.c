/* The service Usage: what is used now and in all, and the records behind a bill. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/convert.h"
#include "server/hash.h"
#include "server/ledger.h"
#include "server/link.h"
#include "server/sampler.h"
#include "server/usage_export.h"

#include "croft/v1/usage.pb-c.h"

#include <errno.h>
#include <string.h>

#define USEC_PER_SEC 1000000

/* --- GetUsage --- */

struct usage_query {
	struct server *server;
	struct grpc_call *call;
	struct tenant *tenant;	     /* a reference */
	struct container *container; /* a reference; NULL: the tenant */
};

/* Adds what has been used since the last sample. */
static void add_present(struct server *server, const struct run *run, struct usage_totals *totals,
	struct counters *gauges)
{
	struct usage_point point;

	if (sampler_read_now(run, &point) < 0)
		return;
	usage_add(totals, &run->last, &point, ledger_gap_usec(server));
	if (!run->last.sequence)
		totals->runs++;
	*gauges = point.counters;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A tenant's sums are its containers'; peaks and faults also happen to its directory as a whole. */
static void sum_tenant(struct server *server, const struct tenant *t, struct usage_totals *totals,
	struct counters *gauges)
{
	struct usage_totals own = t->own_totals;
	struct counters ignored;
	struct map_node *node;

	*totals = t->totals;
	MAP_FOREACH(node, &t->containers)
	add_present(server, &map_object(node, struct container, by_name)->run, totals, &ignored);
	add_present(server, &t->own, &own, gauges);
	totals->memory_peak_bytes = larger(totals->memory_peak_bytes, own.memory_peak_bytes);
	totals->pids_peak = larger(totals->pids_peak, own.pids_peak);
	totals->pids_denied = larger(totals->pids_denied, own.pids_denied);
	totals->oom_kills = larger(totals->oom_kills, own.oom_kills);
	totals->memory_at_limit = larger(totals->memory_at_limit, own.memory_at_limit);
}

static void fill_usage(
	Croft__V1__ResourceUsage *out, const struct usage_totals *totals, const struct counters *g)
{
	out->memory_bytes = g->memory_bytes;
	out->memory_working_set_bytes = g->memory_working_set_bytes;
	out->pids = g->pids;
	out->cpu_usec = totals->cpu_usec;
	out->cpu_throttled_usec = totals->throttled_usec;
	out->memory_peak_bytes = totals->memory_peak_bytes;
	out->pids_peak = totals->pids_peak;
	out->pids_denied = totals->pids_denied;
	out->oom_kills = totals->oom_kills;
	out->memory_at_limit = totals->memory_at_limit;
	out->running_usec = totals->running_usec;
	out->runs = totals->runs;
}

static void query_reply(struct usage_query *q, uint64_t disk_bytes)
{
	Croft__V1__ResourceUsage out = CROFT__V1__RESOURCE_USAGE__INIT;
	Google__Protobuf__Timestamp now;
	char memory[USAGE_DECIMAL_MAX];
	char name[RESOURCE_SIZE];
	struct limits_message limits;
	struct usage_totals totals = {0};
	struct counters gauges = {0};

	if (q->container) {
		totals = q->container->totals;
		add_present(q->server, &q->container->run, &totals, &gauges);
		snprintf(name, sizeof(name), "tenants/%s/containers/%s", q->tenant->name,
			q->container->name);
		convert_limits(&q->container->limits, &limits);
		out.running = container_state_is_live(q->container->state);
	} else {
		sum_tenant(q->server, q->tenant, &totals, &gauges);
		snprintf(name, sizeof(name), "tenants/%s", q->tenant->name);
		convert_limits(&q->tenant->limits, &limits);
		out.running = tenant_running_count(q->tenant);
	}
	fill_usage(&out, &totals, &gauges);
	convert_time(clock_wall_usec(), &now);
	out.name = name;
	out.read_time = &now;
	out.disk_bytes = disk_bytes;
	out.memory_kib_seconds = (char *)usage_format(
		totals.memory_kib_usec / USEC_PER_SEC, memory);
	out.limits = &limits.msg;
	grpc_reply(q->call, &out.base);
	grpc_call_unref(q->call);
	tenant_unref(q->tenant);
	container_unref(q->container);
	free(q);
}

static void on_disk(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_disk *disk = reply;

	link_close_fds(fds, n_fds);
	query_reply(arg, err ? 0 : disk->used_bytes);
}

static int find_resource(struct usage_query *q, const char *resource, struct err *err)
{
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	int r = name_parse_resource(resource, tenant, container, err);

	if (r < 0)
		return r;
	if (!container[0])
		return model_find_tenant(&q->server->model, resource, &q->tenant, err);
	r = model_find_container(&q->server->model, resource, &q->container, err);
	if (r == 0)
		q->tenant = q->container->tenant;
	return r;
}

static void get_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetUsageRequest *request = (const void *)message;
	struct usage_query *q = calloc(1, sizeof(*q));
	struct msg_container msg = {0};
	struct err err;

	if (!q) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	q->server = grpc_call_app(call);
	if (find_resource(q, request->name, &err) < 0) {
		grpc_fail(call, &err);
		free(q);
		return;
	}
	q->call = grpc_call_ref(call);
	tenant_ref(q->tenant);
	memcpy(msg.tenant, q->tenant->name, sizeof(msg.tenant));
	if (q->container) {
		container_ref(q->container);
		memcpy(msg.container, q->container->name, sizeof(msg.container));
	}
	if (link_send(q->server->link, MSG_CONTAINER_DISK, &msg, NULL, 0, on_disk, q, &err) < 0)
		query_reply(q, 0);
}

/* --- ExportUsage --- */

struct export
{
	struct server *server;
	struct grpc_call *call; /* a reference */
	struct export_cursor cursor;
	size_t sent; /* of this step's runs */
	bool reading;
	bool cancelled;
};

static void export_free(struct export *e)
{
	grpc_call_set_data(e->call, NULL);
	grpc_call_unref(e->call);
	free(e);
}

static int send_record(
	struct export *e, const struct export_run *run, size_t meter, struct err *err)
{
	Croft__V1__UsageRecord out = CROFT__V1__USAGE_RECORD__INIT;
	const struct usage_window *w = &run->window;
	const struct usage_meter *m = &usage_meters[meter];
	Google__Protobuf__Timestamp start;
	Google__Protobuf__Timestamp end;
	char quantity[USAGE_DECIMAL_MAX];
	char resource[RESOURCE_SIZE];
	char start_text[CLOCK_TEXT_MAX];
	char id[HASH_SIZE];
	int64_t from = w->from_wall_usec > run->start.wall_usec ? w->from_wall_usec
								: run->start.wall_usec;
	const char *const parts[] = {
		run->tenant_uid, resource, run->id, m->name, clock_format(from, start_text)};

	snprintf(resource, sizeof(resource), "tenants/%s/containers/%s", run->tenant,
		run->container);
	if (hash_strings(parts, ARRAY_SIZE(parts), id, err) < 0)
		return -EIO;
	convert_time(from, &start);
	convert_time(w->end.wall_usec, &end);
	out.record_id = id;
	out.tenant = (char *)run->tenant;
	out.account_ref = (char *)run->account_ref;
	out.resource = resource;
	out.resource_uid = (char *)run->container_uid;
	out.run_id = (char *)run->id;
	out.meter = (char *)m->name;
	out.quantity = (char *)usage_format(usage_quantity(&w->totals, meter), quantity);
	out.unit = (char *)m->unit;
	out.aggregation = (char *)m->aggregation;
	out.window_start = &start;
	out.window_end = &end;
	out.boot_id = (char *)run->boot_id;
	for (size_t i = 0; i < USAGE_COUNTERS; i++) {
		if (usage_counters[i].id != m->counter_id)
			continue;
		out.counter_start = usage_counter_get(&w->base.counters, &usage_counters[i]);
		out.counter_end = usage_counter_get(&w->end.counters, &usage_counters[i]);
	}
	out.samples = w->samples;
	out.final = run->complete;
	grpc_send(e->call, &out.base);
	return 0;
}

static void export_go_on(struct export *e);

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct export *e = arg;

	return export_step(db, &e->cursor, err);
}

static void on_step(void *arg, const struct err *err)
{
	struct export *e = arg;

	e->reading = false;
	e->sent = 0;
	if (e->cancelled) {
		export_free(e);
	} else if (err) {
		grpc_fail(e->call, err);
		export_free(e);
	} else {
		export_go_on(e);
	}
}

/* Sends as much as the client takes, then reads the next step. */
static void export_go_on(struct export *e)
{
	struct err err;

	while (e->sent < e->cursor.n_runs) {
		if (!grpc_call_writable(e->call))
			return;
		for (size_t i = 0; i < USAGE_METERS; i++) {
			if (send_record(e, &e->cursor.runs[e->sent], i, &err) == 0)
				continue;
			grpc_fail(e->call, &err);
			export_free(e);
			return;
		}
		e->sent++;
	}
	if (e->cursor.done) {
		grpc_finish(e->call);
		export_free(e);
		return;
	}
	e->reading = true;
	db_read(e->server->db, read_step, on_step, e);
}

static int fill_export(
	struct export *e, const Croft__V1__ExportUsageRequest *request, struct err *err)
{
	struct tenant *t;
	int r = auth_scope(e->server, grpc_call_peer(e->call), request->tenant, &t, err);

	if (r == 0 && request->from)
		r = convert_time_back(request->from, &e->cursor.from_wall_usec, err);
	e->cursor.to_wall_usec = clock_wall_usec() + 1;
	if (r == 0 && request->to)
		r = convert_time_back(request->to, &e->cursor.to_wall_usec, err);
	if (r < 0)
		return r;
	if (e->cursor.to_wall_usec < e->cursor.from_wall_usec)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TIME_INVALID", "to",
			"the period ends before it begins");
	if (t)
		memcpy(e->cursor.tenant_uid, t->uid, sizeof(e->cursor.tenant_uid));
	e->cursor.gap_usec = ledger_gap_usec(e->server);
	return 0;
}

static void export_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct export *e = calloc(1, sizeof(*e));
	struct err err;

	if (!e) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	e->server = grpc_call_app(call);
	e->call = grpc_call_ref(call);
	grpc_call_set_data(call, e);
	if (fill_export(e, (const void *)message, &err) < 0) {
		grpc_fail(call, &err);
		export_free(e);
		return;
	}
	export_go_on(e);
}

static void export_writable(struct grpc_call *call)
{
	struct export *e = grpc_call_data(call);

	if (e && !e->reading)
		export_go_on(e);
}

static void export_cancelled(struct grpc_call *call)
{
	struct export *e = grpc_call_data(call);

	if (!e)
		return;
	/* The database's thread may be writing into it. */
	if (e->reading)
		e->cancelled = true;
	else
		export_free(e);
}

const struct grpc_handler svc_usage_handlers[] = {
	{.path = "/croft.v1.Usage/GetUsage", .start = get_usage},
	{.path = "/croft.v1.Usage/ExportUsage",
		.start = export_usage,
		.writable = export_writable,
		.cancelled = export_cancelled},
	{.path = NULL},
};
