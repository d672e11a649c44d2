/*
 * Changing a container's limits live: what is asked for is checked against its tenant's. How it is
 * brought about, whoever dies meanwhile, is container_pending.c's.
 */
#include "server/container_update.h"

#include "server/auth.h"
#include "server/cloud_init.h"
#include "server/container_pending.h"
#include "server/convert.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/events.h"
#include "server/health.h"
#include "server/placer.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"
#include "server/upkeep.h"

#include <string.h>

void container_update_swap(struct container_op *op)
{
	struct container *c = op->container;
	struct container_op before = *op;

	op->limits = c->limits;
	memcpy(op->cpus, c->cpus, sizeof(op->cpus));
	op->oom_group = c->oom_group;
	op->upkeep = c->upkeep;
	c->limits = before.limits;
	memcpy(c->cpus, before.cpus, sizeof(c->cpus));
	c->oom_group = before.oom_group;
	op->schedule = c->schedule;
	c->schedule = before.schedule;
	op->health_check = c->health_check;
	c->health_check = before.health_check;
	c->upkeep = before.upkeep;
	op->cloud_init = c->cloud_init;
	c->cloud_init = before.cloud_init;
	memcpy(op->cloud_id, c->cloud_id, sizeof(op->cloud_id));
	memcpy(c->cloud_id, before.cloud_id, sizeof(c->cloud_id));
}

/* What is changed is for another instance, as it would not be looked at otherwise. */
static int fill_cloud_init(
	struct container_op *op, const Croft__V1__CloudInit *msg, unsigned fields, struct err *err)
{
	struct container *c = op->container;
	int r = cloud_init_change(c->tenant, c, c->cloud_init, msg, fields, &op->cloud_init, err);

	memcpy(op->cloud_id, c->cloud_id, sizeof(op->cloud_id));
	if (r == 0 && fields)
		model_make_uid(op->cloud_id);
	return r;
}

void container_update_fill(struct container *c, struct container_op *op, struct msg_limits *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->tenant, c->tenant->name, sizeof(ret->tenant));
	memcpy(ret->container, c->name, sizeof(ret->container));
	/* What was in force before is so again, whatever is in use by now. */
	ret->force = !op || op->force;
	ret->running = container_state_is_live(c->state);
	/* The message is made from the container as it is to be. */
	if (op)
		container_update_swap(op);
	ret->oom_group = c->oom_group;
	container_fill_limits(c, &ret->limits);
	if (op)
		container_update_swap(op);
}

static int fill(
	struct container_op *op, const Croft__V1__UpdateContainerRequest *request, struct err *err)
{
	/* Behind the second, four in the order of enum upkeep_field; then those of cloud_init.h.
	 */
	static const char *const others[] = {"oom_group", "snapshot_schedule", "restart_policy",
		"autostart", "autostart_order", "idle_freeze", "health_check", CLOUD_INIT_PATHS,
		NULL};
	struct container *c = op->container;
	struct tenant *t = c->tenant;
	struct limits allowed = t->limits;
	struct limits_update update;
	int r;

	op->limits = c->limits;
	r = convert_limits_update(request->container->limits, request->update_mask, false, others,
		&op->limits, &update, err);
	if (r < 0)
		return r;
	op->oom_group = update.others & 1 ? request->container->oom_group : c->oom_group;
	op->schedule = c->schedule;
	if (update.others & 2)
		r = snapshot_schedule_read(request->container->snapshot_schedule, clock_wall_usec(),
			&op->schedule, err);
	op->health_check = c->health_check;
	if (r == 0 && (update.others & 1u << 6))
		r = health_read(
			request->container->health_check, c->ephemeral, &op->health_check, err);
	op->upkeep = c->upkeep;
	if (r == 0)
		r = convert_upkeep_back(request->container, update.others >> 2 & UPKEEP_ALL,
			c->ephemeral, &op->upkeep, err);
	if (r == 0)
		r = fill_cloud_init(op, request->container->cloud_init, update.others >> 7, err);
	if (r < 0)
		return r;
	if (!cores_empty(t->cpus)) {
		memcpy(allowed.core_mask, t->cpus, sizeof(allowed.core_mask));
		allowed.value[LIMIT_CORES] = LIMIT_UNSET;
	}
	r = limits_check_within(&op->limits, &allowed, err);
	if (r < 0)
		return r;
	/* What asks for nothing else of them moves it to no others. */
	if (cores_fit(placer_cpus(op->server), c, &op->limits)) {
		memcpy(op->cpus, c->cpus, sizeof(op->cpus));
		return 0;
	}
	return cores_resolve_container(&op->server->model, placer_cpus(op->server), t->cpus, c,
		&op->limits, op->cpus, err);
}

/* op holds what the container was. */
void container_update_store(struct db_tx *tx, const struct container_op *op)
{
	const struct container *c = op->container;
	char old[SPAN_SCHEDULE_SIZE];
	char new[SPAN_SCHEDULE_SIZE];
	char old_health[HEALTH_TOLD_SIZE];
	char new_health[HEALTH_TOLD_SIZE];
	struct changes changes;

	changes_init(&changes);
	changes_limits(&changes, &op->limits, &c->limits);
	changes_cores(&changes, op->cpus, c->cpus);
	changes_bool(&changes, "oom_group", op->oom_group, c->oom_group);
	if (op->schedule.every_s != c->schedule.every_s || op->schedule.keep != c->schedule.keep ||
		op->schedule.expire_s != c->schedule.expire_s)
		changes_text(&changes, "snapshot_schedule",
			snapshot_schedule_tell(&op->schedule, old),
			snapshot_schedule_tell(&c->schedule, new));
	if (!health_equal(&op->health_check, &c->health_check))
		changes_text(&changes, "health_check", health_tell(&op->health_check, old_health),
			health_tell(&c->health_check, new_health));
	changes_text(&changes, "restart_policy", upkeep_restart_name(op->upkeep.restart),
		upkeep_restart_name(c->upkeep.restart));
	changes_bool(&changes, "autostart", op->upkeep.autostart, c->upkeep.autostart);
	changes_number(&changes, "autostart_order", op->upkeep.order, c->upkeep.order);
	changes_number(&changes, "idle_freeze_seconds", op->upkeep.idle_s, c->upkeep.idle_s);
	if (strcmp(op->cloud_id, c->cloud_id) != 0) {
		changes_text(&changes, "cloud_init", op->cloud_init ? op->cloud_id : "none",
			c->cloud_init ? c->cloud_id : "none");
		store_put_cloud_init(tx, c);
	}
	if (changes.n)
		events_add_container(tx, c, c->run.id, "container.updated", changes_end(&changes),
			"%s/%s was changed: %s", c->tenant->name, c->name, changes.text);
}

static void on_not_moving(void *arg, const struct err *err)
{
	if (err)
		container_op_fail(arg, err);
	else
		container_pending_update(arg);
}

/* One that is being moved to other cores is told its limits at this moment: not both at once. */
static void begin(struct container_op *op)
{
	struct container *c = op->container;
	struct err err;

	if (!c->moving)
		container_pending_update(op);
	else if (waiters_add(&c->move_waiters, on_not_moving, op, &err) < 0)
		container_op_fail(op, &err);
}

void container_update(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__UpdateContainerRequest *request = (const void *)message;
	struct container_op *op;
	struct err err;
	int r;

	if (!request->container) {
		err_set_subject(&err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "container",
			"the request names no container");
		grpc_fail(call, &err);
		return;
	}
	op = container_op_find(call, message, request->request_id, request->container->name);
	if (!op)
		return;
	r = container_op_hold(op, &err);
	if (r == 0)
		r = fill(op, request, &err);
	if (r == 0)
		r = auth_check_io_limits(
			grpc_call_peer(call), &op->container->limits, &op->limits, &err);
	if (r == 0)
		r = auth_count_change(grpc_call_peer(call), op->container, &op->limits, &err);
	if (r < 0) {
		container_op_fail(op, &err);
		return;
	}
	op->force = request->force;
	begin(op);
}
