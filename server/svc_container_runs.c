/* The service Containers: starting, stopping, freezing. What happens then is in start.c and on. */
#include "server/auth.h"
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/container_op.h"
#include "server/convert.h"
#include "server/events.h"
#include "server/hold.h"
#include "server/idle.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/logs.h"
#include "server/store.h"
#include "server/upkeep.h"

#include <string.h>

/* --- StartContainer --- */

static void on_started(void *arg, const struct err *err)
{
	struct container_op *op = arg;

	if (err)
		container_op_fail(op, err);
	else
		container_op_reply(op);
}

static void confirm_start(void *arg, struct db_tx *tx)
{
	container_op_store(arg, tx);
}

static void start(struct container_op *op)
{
	struct start_request request = {.container = op->container,
		.confirm = confirm_start,
		.done = on_started,
		.arg = op};
	struct err err;

	op->container->restarts = 0;
	request.tx = db_tx_new();
	container_op_store(op, request.tx);
	if (start_container(op->server, &request, &err) < 0)
		container_op_fail(op, &err);
}

static void start_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__StartContainerRequest *request = (const void *)message;
	struct container_op *op = container_op_find(
		call, message, request->request_id, request->name);

	if (op)
		start(op);
}

/* --- StopContainer, KillContainer --- */

static void on_reply_stored(void *arg, const struct err *err)
{
	struct container_op *op = arg;

	if (err)
		container_op_fail(op, err);
	else
		container_op_reply(op);
}

/* The run's final usage is committed; the reply is kept for a retry. */
static void on_stopped(void *arg, const struct err *err)
{
	struct container_op *op = arg;
	struct db_tx *tx;

	if (err) {
		container_op_fail(op, err);
		return;
	}
	if (!op->mutation->request) {
		container_op_reply(op);
		return;
	}
	tx = db_tx_new_essential();
	container_op_store(op, tx);
	db_commit(op->server->db, tx, on_reply_stored, op);
}

/* As container_op_find(), for what has a timeout. NULL: answered. */
static struct container_op *find_with_timeout(struct grpc_call *call,
	const ProtobufCMessage *message, const char *request_id, const char *name,
	const Google__Protobuf__Duration *timeout, uint32_t *ret_timeout_ms)
{
	struct err err;

	if (convert_timeout_ms(timeout, STOP_TIMEOUT_DEFAULT_MS, STOP_TIMEOUT_MAX_MS,
		    ret_timeout_ms, &err) == 0)
		return container_op_find(call, message, request_id, name);
	grpc_fail(call, &err);
	return NULL;
}

/* It does not run, but would again in a moment. */
static void cancel_restart(struct container_op *op)
{
	struct container *c = op->container;
	struct db_tx *tx = db_tx_new();

	upkeep_cancel(c);
	c->kept_down = false;
	c->restarts = 0;
	logs_wake(c);
	store_put_container(tx, c);
	container_op_store(op, tx);
	db_commit(op->server->db, tx, on_reply_stored, op);
}

static void note_stopper(struct container_op *op)
{
	auth_actor(grpc_call_peer(op->mutation->call), &op->container->stopper);
}

static void stop(struct container_op *op, uint32_t timeout_ms)
{
	struct err err;

	struct container *c = op->container;

	if (c->state == CONTAINER_STOPPED && (c->restart_due || c->kept_down)) {
		cancel_restart(op);
	} else if (stop_container(op->server, c, timeout_ms, on_stopped, op, &err) < 0) {
		container_op_fail(op, &err);
	} else {
		note_stopper(op);
		/* Also of one that is being stopped because it is unhealthy, or by a hold. */
		upkeep_cancel(c);
		c->kept_down = false;
		stop_record(op->server, c, timeout_ms);
	}
}

static void stop_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__StopContainerRequest *request = (const void *)message;
	uint32_t timeout_ms;
	struct container_op *op = find_with_timeout(
		call, message, request->request_id, request->name, request->timeout, &timeout_ms);

	if (op)
		stop(op, timeout_ms);
}

static void kill_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__KillContainerRequest *request = (const void *)message;
	struct container_op *op = container_op_find(
		call, message, request->request_id, request->name);

	if (op)
		stop(op, 0);
}

/* --- RestartContainer --- */

static void on_stopped_to_start(void *arg, const struct err *err)
{
	struct container_op *op = arg;

	if (err) {
		container_op_fail(op, err);
		return;
	}
	/* Suspended in between: the hold keeps it down, not whoever wanted it up again. */
	if (op->container->tenant->suspended)
		hold_keep(op->server, op->container);
	start(op);
}

static void restart_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__RestartContainerRequest *request = (const void *)message;
	uint32_t timeout_ms;
	struct container_op *op = find_with_timeout(
		call, message, request->request_id, request->name, request->timeout, &timeout_ms);
	struct err err;

	if (!op)
		return;
	/* What may not start again is not stopped either. */
	if (!container_state_is_live(op->container->state))
		start(op);
	else if (start_check_allowed(op->server, op->container, &err) < 0 ||
		 stop_container(
			 op->server, op->container, timeout_ms, on_stopped_to_start, op, &err) < 0)
		container_op_fail(op, &err);
	else
		note_stopper(op);
}

/* --- FreezeContainer, ThawContainer --- */

static void settle_freeze(struct container_op *op, bool frozen, const struct err *err)
{
	struct container *c = op->container;
	struct db_tx *tx;

	/* It may have been stopped, or have ended, meanwhile. */
	if (c->state == CONTAINER_FREEZING)
		c->state = frozen ? CONTAINER_FROZEN : CONTAINER_RUNNING;
	if (err) {
		container_op_fail(op, err);
		return;
	}
	tx = db_tx_new_essential();
	events_add_container(tx, c, c->run.id, frozen ? "container.frozen" : "container.thawed",
		"{}", "%s/%s was %s", c->tenant->name, c->name, frozen ? "frozen" : "thawed");
	container_op_store(op, tx);
	db_commit(op->server->db, tx, on_reply_stored, op);
}

static void on_frozen(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	(void)reply;
	link_close_fds(fds, n_fds);
	settle_freeze(arg, !err, err);
}

static void on_thawed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	(void)reply;
	link_close_fds(fds, n_fds);
	settle_freeze(arg, err, err);
}

static void set_frozen(struct container_op *op, bool frozen)
{
	struct container *c = op->container;
	struct msg_freeze msg = {.frozen = frozen};
	enum container_state to = CONTAINER_FREEZING;
	struct err err;
	int r;

	/* FREEZING stands for both ways, so the table cannot tell which one is meant. */
	if (c->state == (frozen ? CONTAINER_FROZEN : CONTAINER_RUNNING))
		to = c->state;
	r = hold_check(c->tenant, &err);
	if (r == 0)
		r = container_state_check(c->tenant->name, c->name, c->state, to, &err);
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	if (r == 0)
		r = link_send(op->server->link, MSG_CONTAINER_FREEZE, &msg, NULL, 0,
			frozen ? on_frozen : on_thawed, op, &err);
	if (r < 0)
		container_op_fail(op, &err);
	else
		c->state = CONTAINER_FREEZING;
}

/* --- those that are frozen for being idle --- */

static void on_awake(void *arg, const struct err *err)
{
	struct container_op *op = arg;
	struct db_tx *tx;

	if (err) {
		container_op_fail(op, err);
		return;
	}
	tx = db_tx_new_essential();
	container_op_store(op, tx);
	db_commit(op->server->db, tx, on_reply_stored, op);
}

static void wake(struct container_op *op)
{
	struct err err;

	if (idle_wake(op->server, op->container, "request", on_awake, op, &err) < 0)
		container_op_fail(op, &err);
}

/* From now on nothing but a thaw wakes it. */
static void keep_frozen(struct container_op *op)
{
	struct container *c = op->container;
	struct db_tx *tx = db_tx_new_essential();

	idle_keep_frozen(tx, c);
	events_add_container(tx, c, c->run.id, "container.frozen", "{}", "%s/%s was frozen",
		c->tenant->name, c->name);
	container_op_store(op, tx);
	db_commit(op->server->db, tx, on_reply_stored, op);
}

static void freeze_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__FreezeContainerRequest *request = (const void *)message;
	struct container_op *op = container_op_find(
		call, message, request->request_id, request->name);

	if (op && op->container->state == CONTAINER_FROZEN && idle_is_frozen(op->container))
		keep_frozen(op);
	else if (op)
		set_frozen(op, true);
}

static void thaw_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ThawContainerRequest *request = (const void *)message;
	struct container_op *op = container_op_find(
		call, message, request->request_id, request->name);

	if (op && idle_is_frozen(op->container))
		wake(op);
	else if (op)
		set_frozen(op, false);
}

const struct grpc_handler svc_container_runs_handlers[] = {
	{.path = "/croft.v1.Containers/StartContainer", .start = start_handler},
	{.path = "/croft.v1.Containers/StopContainer", .start = stop_handler},
	{.path = "/croft.v1.Containers/KillContainer", .start = kill_handler},
	{.path = "/croft.v1.Containers/RestartContainer", .start = restart_handler},
	{.path = "/croft.v1.Containers/FreezeContainer", .start = freeze_handler},
	{.path = "/croft.v1.Containers/ThawContainer", .start = thaw_handler},
	{.path = NULL},
};
