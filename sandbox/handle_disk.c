/*
 * What is on disk: how much somebody has, and who has filled what it may have. Takes nothing for
 * itself: what is being made or removed meanwhile has a figure, or none.
 */
#include "sandbox/handlers.h"
#include "sandbox/pool_fill.h"
#include "sandbox/task.h"

#include <string.h>

static int measure(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_container *msg = &task->u.container;
	struct msg_disk reply = {.enforced = pool_has_limits(task->s->pool)};
	int r = pool_usage(task->s->pool, msg->tenant, msg->container, &reply.used, err);

	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return r;
}

HANDLER(handle_container_disk)
{
	const struct msg_container *in = msg;
	struct task *task;
	bool refused;
	struct err err;

	(void)fds;
	(void)n_fds;
	refused = handler_check_names(in->tenant, in->container[0] ? in->container : NULL, &err) <
		  0;
	task = handler_task(s, request, refused ? &err : NULL);
	if (!task)
		return;
	task->u.container = *in;
	task->needs_pool = true;
	task->fn = measure;
	task_start(task);
}

static void tell(const struct pool_fill *fill, void *arg)
{
	struct msg_event_disk msg = {
		.owner = (uint8_t)fill->owner,
		.state = (uint8_t)fill->state,
		.used = fill->used,
		.limit = fill->limit,
	};

	memcpy(msg.tenant, fill->tenant, sizeof(msg.tenant));
	memcpy(msg.name, fill->name, sizeof(msg.name));
	job_progress(arg, &msg, sizeof(msg));
}

static int look(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_disk_look reply = {.looked = 1};

	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return pool_fill_look(task->s->pool, task->u.look.all, tell, out, err);
}

static void looked(struct task *task, const void *data, size_t size)
{
	struct msg_event_disk msg;

	if (size != sizeof(msg) || task->request.generation != peer_generation(task->s->peer))
		return;
	memcpy(&msg, data, sizeof(msg));
	peer_event(task->s->peer, MSG_EVENT_DISK, &msg, NULL, 0);
}

HANDLER(handle_disk_look)
{
	static const struct msg_disk_look nothing;
	const struct msg_look *in = msg;
	struct task *task;

	(void)fds;
	(void)n_fds;
	/* No pool is made, nor attached, for this. */
	if (!s->pool || !pool_has_limits(s->pool)) {
		peer_reply(s->peer, request, &nothing, NULL, 0);
		return;
	}
	task = handler_task(s, request, NULL);
	if (!task)
		return;
	task->u.look = *in;
	task->fn = look;
	task->progress = looked;
	task_start(task);
}
