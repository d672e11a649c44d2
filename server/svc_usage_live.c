/* Usage.ListLiveUsage: a row for each tenant and container that runs, as the last look saw it. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/container_state.h"
#include "server/convert.h"
#include "server/grpc_turns.h"
#include "server/live.h"

#include "croft/v1/usage.pb-c.h"

#include <stdlib.h>
#include <string.h>

struct listing {
	struct turns turns; /* pending: the look is waited for */
	struct server *server;
	char only[NAME_SIZE]; /* ""; all */
	char tenant[NAME_SIZE];
	char container[NAME_SIZE]; /* what was sent last */
};

struct row {
	Croft__V1__LiveUsage msg;
	Google__Protobuf__Timestamp time;
	Croft__V1__Pressure pressure[STALL_N];
	struct limits_message limits;
	char name[RESOURCE_SIZE];
};

static void listing_free(struct turns *turns)
{
	free(turns);
}

static Croft__V1__Pressure *fill_pressure(
	struct row *row, const struct stalls *stalls, enum stall of)
{
	Croft__V1__Pressure *out = &row->pressure[of];

	if (stalls->some[of] < 0)
		return NULL;
	croft__v1__pressure__init(out);
	out->some_permyriad = (uint32_t)stalls->some[of];
	/* Of the CPU older kernels know no `full`. */
	out->full_permyriad = stalls->full[of] < 0 ? 0 : (uint32_t)stalls->full[of];
	return out;
}

static void fill(struct row *row, const struct live *live, const struct live_rates *rates,
	const struct limits *limits)
{
	Croft__V1__LiveUsage *out = &row->msg;
	const struct counters *now = &live->now.counters;

	convert_time(live->now.wall_usec, &row->time);
	convert_limits(limits, &row->limits);
	out->read_time = &row->time;
	out->limits = &row->limits.msg;
	out->name = row->name;
	out->interval_usec = rates->interval_usec;
	out->cpu_milli = rates->cpu_milli;
	out->throttled_milli = rates->throttled_milli;
	out->memory_bytes = now->memory_bytes;
	out->memory_working_set_bytes = now->memory_working_set_bytes;
	out->pids = now->pids;
	out->net_in_bytes = rates->net_in;
	out->net_out_bytes = rates->net_out;
	out->io_read_bytes = rates->io_read;
	out->io_write_bytes = rates->io_write;
	out->forks_counted = rates->has_forks;
	out->forks_per_second = rates->forks;
	out->cpu_pressure = fill_pressure(row, &live->stalls, STALL_CPU);
	out->memory_pressure = fill_pressure(row, &live->stalls, STALL_MEMORY);
	out->io_pressure = fill_pressure(row, &live->stalls, STALL_IO);
}

static void send_container(struct listing *l, const struct container *c)
{
	const struct live *live = live_of(c->live, &c->run);
	struct live_rates rates;
	struct row row;

	if (!live || !c->visible || !container_state_is_live(c->state))
		return;
	croft__v1__live_usage__init(&row.msg);
	snprintf(row.name, sizeof(row.name), "tenants/%s/containers/%s", c->tenant->name, c->name);
	live_rates(live, &rates);
	row.msg.running = 1;
	row.msg.frozen = c->state == CONTAINER_FROZEN || c->tenant->suspended;
	fill(&row, live, &rates, &c->limits);
	grpc_send(l->turns.call, &row.msg.base);
}

/* Traffic and I/O are counted by container: a tenant's are the sum. */
static void send_tenant(struct listing *l, const struct tenant *t)
{
	const struct live *live = live_of(t->live, &t->own);
	uint32_t running = tenant_running_count(t);
	struct live_rates rates;
	struct map_node *node;
	struct row row;

	if (!live || !t->visible || !running)
		return;
	croft__v1__live_usage__init(&row.msg);
	snprintf(row.name, sizeof(row.name), "tenants/%s", t->name);
	live_rates(live, &rates);
	MAP_FOREACH(node, &t->containers)
	{
		const struct container *c = map_object(node, struct container, by_name);
		const struct live *one = live_of(c->live, &c->run);
		struct live_rates of_one;

		if (!one || !container_state_is_live(c->state))
			continue;
		live_rates(one, &of_one);
		live_add_rates(&rates, &of_one);
	}
	row.msg.running = running;
	row.msg.frozen = t->suspended;
	fill(&row, live, &rates, &t->limits);
	grpc_send(l->turns.call, &row.msg.base);
}

/* Sends the next row there is, a tenant's before its containers'. False at the end. */
static bool send_next(struct listing *l)
{
	const struct model *model = &l->server->model;
	struct tenant *t = model_any_tenant(model, l->tenant);
	struct map_node *node = t ? map_after(&t->containers, l->container) : NULL;

	if (node) {
		struct container *c = map_object(node, struct container, by_name);

		memcpy(l->container, c->name, sizeof(l->container));
		send_container(l, c);
		return true;
	}
	if (l->only[0])
		node = l->tenant[0] ? NULL : map_find(&model->tenants, l->only);
	else
		node = map_after(&model->tenants, l->tenant);
	if (!node)
		return false;
	t = map_object(node, struct tenant, by_name);
	memcpy(l->tenant, t->name, sizeof(l->tenant));
	l->container[0] = '\0';
	send_tenant(l, t);
	return true;
}

static void go_on(struct turns *turns)
{
	while (grpc_call_writable(turns->call)) {
		if (send_next((struct listing *)turns))
			continue;
		turns_finish(turns);
		return;
	}
}

static void on_looked(void *arg, const struct err *err)
{
	struct listing *l = arg;

	if (turns_back(&l->turns, err))
		go_on(&l->turns);
}

static void list_live_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListLiveUsageRequest *request = (const void *)message;
	struct listing *l = calloc(1, sizeof(*l));
	struct tenant *t = NULL;
	struct err err;
	int r;

	if (!l) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	l->turns.go_on = go_on;
	l->turns.free = listing_free;
	l->turns.pending = true;
	l->server = grpc_call_app(call);
	turns_begin(&l->turns, call);
	r = auth_scope(l->server, grpc_call_peer(call), request->tenant, &t, &err);
	if (r == 0 && t)
		memcpy(l->only, t->name, sizeof(l->only));
	if (r == 0)
		r = live_look(l->server, t, on_looked, l, &err);
	if (r < 0)
		turns_fail(&l->turns, &err);
}

const struct grpc_handler svc_usage_live_handlers[] = {
	{.path = "/croft.v1.Usage/ListLiveUsage",
		.start = list_live_usage,
		.writable = turns_writable,
		.cancelled = turns_cancelled},
	{.path = NULL},
};
