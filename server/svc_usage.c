/* The service Usage: what is used now and in all, and the records behind a bill. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/convert.h"
#include "server/hash.h"
#include "server/ledger.h"
#include "server/link.h"
#include "server/sampler.h"
#include "server/store.h"
#include "server/traffic.h"
#include "server/usage_export.h"

#include "croft/v1/usage.pb-c.h"

#include <errno.h>
#include <string.h>

#define USEC_PER_SEC 1000000
/* Who asks often sees the same figures for as long. */
#define TRAFFIC_AGE_USEC 1000000u

/* --- GetUsage --- */

struct usage_query {
	struct server *server;
	struct grpc_call *call;
	struct tenant *tenant;	     /* a reference */
	struct container *container; /* a reference; NULL: the tenant, or one that is gone */
	struct past past;	     /* of one that is gone; end_wall_usec 0: it is not */
	struct err not_found;
};

/* Adds what has been used since the last sample. */
static void add_present(struct server *server, const struct run *run, struct usage_totals *totals,
	struct counters *gauges)
{
	struct usage_point point;

	if (sampler_read_now(server, run, &point) < 0)
		return;
	usage_add(totals, &run->last, &point, ledger_gap_usec(server));
	if (!run->last.sequence)
		totals->runs++;
	*gauges = point.counters;
}

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
	usage_totals_take_own(totals, &own);
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
	out->net_ingress_bytes = totals->net.all_in.bytes;
	out->net_ingress_packets = totals->net.all_in.packets;
	out->net_egress_bytes = totals->net.all_out.bytes;
	out->net_egress_packets = totals->net.all_out.packets;
	out->net_ingress_outside_bytes = totals->net.outside_in.bytes;
	out->net_ingress_outside_packets = totals->net.outside_in.packets;
	out->net_egress_outside_bytes = totals->net.outside_out.bytes;
	out->net_egress_outside_packets = totals->net.outside_out.packets;
	out->io_read_bytes = totals->io.read_bytes;
	out->io_read_ops = totals->io.read_ops;
	out->io_write_bytes = totals->io.write_bytes;
	out->io_write_ops = totals->io.write_ops;
}

static void query_free(struct usage_query *q)
{
	grpc_call_unref(q->call);
	tenant_unref(q->tenant);
	container_unref(q->container);
	free(q);
}

struct usage_reply {
	Croft__V1__ResourceUsage msg;
	Google__Protobuf__Timestamp now;
	Google__Protobuf__Timestamp end;
	struct limits_message limits;
	char name[RESOURCE_SIZE];
	char memory[USAGE_DECIMAL_MAX];
};

/* Figures of what is there: the sums until now, and the gauges. */
static void sum_present(const struct usage_query *q, struct usage_reply *out,
	struct usage_totals *totals, struct counters *gauges)
{
	const struct container *c = q->container;

	if (c) {
		*totals = c->totals;
		add_present(q->server, &c->run, totals, gauges);
		convert_limits(&c->limits, &out->limits);
		out->msg.running = container_state_is_live(c->state);
		out->msg.uid = (char *)c->uid;
	} else {
		sum_tenant(q->server, q->tenant, totals, gauges);
		convert_limits(&q->tenant->limits, &out->limits);
		out->msg.running = tenant_running_count(q->tenant);
		out->msg.uid = q->tenant->uid;
	}
	out->msg.limits = &out->limits.msg;
}

static void sum_past(struct usage_query *q, struct usage_reply *out, struct usage_totals *totals)
{
	*totals = q->past.totals;
	convert_time(q->past.end_wall_usec, &out->end);
	out->msg.end_time = &out->end;
	out->msg.uid = q->past.container_uid;
}

/* disk may be NULL: not known. */
static void query_reply(struct usage_query *q, const struct disk_limits *disk)
{
	const char *container = q->container ? q->container->name : q->past.container;
	struct usage_totals totals = {0};
	struct counters gauges = {0};
	struct usage_reply out;

	croft__v1__resource_usage__init(&out.msg);
	if (q->past.end_wall_usec)
		sum_past(q, &out, &totals);
	else
		sum_present(q, &out, &totals, &gauges);
	fill_usage(&out.msg, &totals, &gauges);
	convert_time(clock_wall_usec(), &out.now);
	snprintf(out.name, sizeof(out.name), "tenants/%s%s%s", q->tenant->name,
		*container ? "/containers/" : "", container);
	out.msg.name = out.name;
	out.msg.read_time = &out.now;
	out.msg.disk_bytes = disk ? disk->bytes : 0;
	out.msg.inodes = disk ? disk->inodes : 0;
	out.msg.memory_kib_seconds = (char *)usage_format(
		totals.memory_kib_usec / USEC_PER_SEC, out.memory);
	grpc_reply(q->call, &out.msg.base);
	query_free(q);
}

static void on_disk(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_disk *disk = reply;

	link_close_fds(fds, n_fds);
	query_reply(arg, err ? NULL : &disk->used);
}

static int read_past(struct db *db, void *arg, struct err *err)
{
	struct usage_query *q = arg;

	return store_load_past(db, &q->past, err);
}

static void on_past(void *arg, const struct err *err)
{
	struct usage_query *q = arg;

	if (!err && !q->past.end_wall_usec)
		err = &q->not_found;
	if (!err) {
		query_reply(q, NULL);
		return;
	}
	grpc_fail(q->call, err);
	query_free(q);
}

static struct container *find_by_uid(const struct tenant *t, const char *uid)
{
	struct map_node *node;

	MAP_FOREACH(node, &t->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		if (c->visible && !strcmp(c->uid, uid))
			return c;
	}
	return NULL;
}

/* *ret_past: the tenant is there, and the container is not (any more). */
static int find_resource(struct usage_query *q, const Croft__V1__GetUsageRequest *request,
	bool *ret_past, struct err *err)
{
	const struct model *model = &q->server->model;
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	int r = name_parse_resource(request->name, tenant, container, err);

	*ret_past = false;
	if (r < 0)
		return r;
	q->tenant = model_any_tenant(model, tenant);
	if (!q->tenant || !q->tenant->visible)
		return model_no_tenant(tenant, err);
	if (request->container_uid[0]) {
		q->container = find_by_uid(q->tenant, request->container_uid);
		err_set(&q->not_found, ERR_NOT_FOUND, "CONTAINER_NOT_FOUND",
			"tenant %s has, and had, no container with the uid %.40s", tenant,
			request->container_uid);
	} else if (!container[0] ||
		   model_find_container(model, request->name, &q->container, &q->not_found) == 0) {
		return 0;
	}
	*ret_past = !q->container;
	memcpy(q->past.tenant_uid, q->tenant->uid, sizeof(q->past.tenant_uid));
	memcpy(q->past.container, container, sizeof(q->past.container));
	snprintf(
		q->past.container_uid, sizeof(q->past.container_uid), "%s", request->container_uid);
	return 0;
}

static void ask_disk(void *arg, const struct err *ignored)
{
	struct usage_query *q = arg;
	struct msg_container msg = {0};
	struct err err;

	(void)ignored;
	memcpy(msg.tenant, q->tenant->name, sizeof(msg.tenant));
	if (q->container)
		memcpy(msg.container, q->container->name, sizeof(msg.container));
	if (link_send(q->server->link, MSG_CONTAINER_DISK, &msg, NULL, 0, on_disk, q, &err) < 0)
		query_reply(q, NULL);
}

static void get_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct usage_query *q = calloc(1, sizeof(*q));
	struct err err;
	bool past;

	if (!q) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	q->server = grpc_call_app(call);
	if (find_resource(q, (const void *)message, &past, &err) < 0) {
		grpc_fail(call, &err);
		free(q);
		return;
	}
	q->call = grpc_call_ref(call);
	tenant_ref(q->tenant);
	if (q->container)
		container_ref(q->container);
	if (past)
		db_read(q->server->db, read_past, on_past, q);
	else
		traffic_look(q->server, TRAFFIC_AGE_USEC, ask_disk, q);
}

const struct grpc_handler svc_usage_handlers[] = {
	{.path = "/croft.v1.Usage/GetUsage", .start = get_usage},
	{.path = NULL},
};
