/*
 * Uppers: what a container has while it has no run. Making and removing one is a state of the
 * container (container.h), so that nothing else acts on it meanwhile.
 */
#include "base/cleanup.h"
#include "sandbox/container.h"
#include "sandbox/handlers.h"

#include <string.h>

static int create(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_container_create *msg = &task->u.create;

	(void)out;
	return pool_upper_make(task->s->pool, msg->tenant, msg->container, &msg->disk, err);
}

static void forget(struct container *c)
{
	container_move(c, CONTAINER_NONE);
	container_forget(c);
}

static void create_done(struct task *task, struct job_result *result)
{
	const struct msg_container_create *msg = &task->u.create;

	forget(container_find(task->s, msg->tenant, msg->container));
	handler_answer(task->s, &task->request, result->r, &result->err);
}

static int check_create(
	struct supervisor *s, const struct msg_container_create *in, struct err *err)
{
	if (handler_check_names(in->tenant, in->container, err) < 0 ||
		limits_check_disk(&in->disk, err) < 0)
		return -EINVAL;
	if (task_check_unclaimed(s, CLAIM_TENANT, in->tenant, err) < 0)
		return -EBUSY;
	return container_check_idle(s, in->tenant, in->container, err);
}

/* Begins a task that has the container's upper to itself. NULL: the request has been answered. */
static struct task *begin(struct supervisor *s, const struct request *request, const char *tenant,
	const char *container, enum container_state state)
{
	struct task *task = handler_task(s, request, NULL);
	struct container *c = task ? container_new(s, tenant, container) : NULL;
	struct err err;

	if (c) {
		container_move(c, state);
		task->needs_pool = true;
		return task;
	}
	if (task) {
		err_oom(&err);
		task_fail(task, &err);
		task_free(task);
	}
	return NULL;
}

HANDLER(handle_container_create)
{
	const struct msg_container_create *in = msg;
	struct task *task;
	struct err err;

	(void)fds;
	(void)n_fds;
	if (check_create(s, in, &err) < 0) {
		peer_fail(s->peer, request, &err);
		return;
	}
	task = begin(s, request, in->tenant, in->container, CONTAINER_MAKING);
	if (!task)
		return;
	task->u.create = *in;
	task->fn = create;
	task->done = create_done;
	task_start(task);
}

static int remove_upper(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_container *msg = &task->u.container;

	(void)out;
	return pool_upper_remove(task->s->pool, msg->tenant, msg->container, err);
}

static void remove_done(struct task *task, struct job_result *result)
{
	const struct msg_container *msg = &task->u.container;
	struct container *c = container_find(task->s, msg->tenant, msg->container);
	struct task *joined = c->joined;

	forget(c);
	handler_answer(task->s, &task->request, result->r, &result->err);
	while (joined) {
		struct task *next = joined->next;

		handler_answer(joined->s, &joined->request, result->r, &result->err);
		task_free(joined);
		joined = next;
	}
}

/* It is being removed already (a server that was restarted asks again): one answer for both. */
static void join_removal(struct container *c, const struct request *request)
{
	struct task *task = handler_task(c->s, request, NULL);

	if (!task)
		return;
	task->next = c->joined;
	c->joined = task;
}

HANDLER(handle_container_remove)
{
	const struct msg_container *in = msg;
	struct container *c;
	struct task *task;
	struct err err;
	int r;

	(void)fds;
	(void)n_fds;
	r = handler_check_names(in->tenant, in->container, &err);
	c = r == 0 ? container_find(s, in->tenant, in->container) : NULL;
	if (c && c->state == CONTAINER_REMOVING) {
		join_removal(c, request);
		return;
	}
	if (r == 0)
		r = container_check_idle(s, in->tenant, in->container, &err);
	if (r < 0) {
		peer_fail(s->peer, request, &err);
		return;
	}
	task = begin(s, request, in->tenant, in->container, CONTAINER_REMOVING);
	if (!task)
		return;
	task->u.container = *in;
	task->needs_adopted = true;
	task->fn = remove_upper;
	task->done = remove_done;
	task_start(task);
}
