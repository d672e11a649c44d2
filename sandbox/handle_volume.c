/*
 * Volumes: made, limited, measured, removed; and whether a directory of the host may be had. Each
 * takes the volume for itself (disk_use.h). That none is removed which a container has is croftd's
 * to know; one that is mounted all the same loses its files, and nobody else anything.
 */
#include "base/cleanup.h"
#include "sandbox/disk_use.h"
#include "sandbox/handlers.h"
#include "sandbox/host_dirs.h"
#include "sandbox/pool_volume.h"
#include "sandbox/task.h"

#include <string.h>

/* On a plain pool it takes as long as the tree is large. */
#define REMOVE_TIMEOUT_MS (6u * 3600 * 1000)

static int check(struct supervisor *s, const struct msg_volume *in, struct err *err)
{
	struct limits limits;

	limits_init(&limits);
	limits.value[LIMIT_DISK] = in->size_bytes;
	if (handler_check_names(in->tenant, in->volume, err) < 0 || limits_check(&limits, err) < 0)
		return -EINVAL;
	if (in->force > 1)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST", "the request is malformed");
	return handler_check_ready(s, err);
}

static void done(struct task *task, struct job_result *result)
{
	static const struct msg_empty empty;

	disk_use_end_volume(task->s, task->u.volume.tenant, task->u.volume.volume);
	if (result->r < 0)
		task_fail(task, &result->err);
	else
		task_reply(task, &empty, NULL, 0);
}

/* Starts a task that has the volume to itself, or answers. */
static void begin(struct supervisor *s, const struct request *request, const struct msg_volume *in,
	unsigned timeout_ms, int (*fn)(struct task *task, struct job_output *out, struct err *err))
{
	struct task *task;
	struct err err;
	int r = check(s, in, &err);

	if (r == 0)
		r = task_check_unclaimed(s, CLAIM_TENANT, in->tenant, &err);
	if (r == 0)
		r = disk_use_begin_volume(s, in->tenant, in->volume, &err);
	task = handler_task(s, request, r < 0 ? &err : NULL);
	if (!task) {
		if (r == 0)
			disk_use_end_volume(s, in->tenant, in->volume);
		return;
	}
	task->u.volume = *in;
	task->needs_pool = true;
	task->timeout_ms = timeout_ms;
	task->fn = fn;
	task->done = done;
	task_start(task);
}

static int make(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_volume *msg = &task->u.volume;

	(void)out;
	return pool_volume_make(task->s->pool, msg->tenant, msg->volume, msg->size_bytes, err);
}

HANDLER(handle_volume_make)
{
	(void)fds;
	(void)n_fds;
	begin(s, request, msg, 0, make);
}

static int remove_volume(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_volume *msg = &task->u.volume;

	(void)out;
	return pool_volume_remove(task->s->pool, msg->tenant, msg->volume, err);
}

HANDLER(handle_volume_remove)
{
	(void)fds;
	(void)n_fds;
	begin(s, request, msg, REMOVE_TIMEOUT_MS, remove_volume);
}

static int set_limit(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_volume *msg = &task->u.volume;

	(void)out;
	return pool_volume_set_limit(
		task->s->pool, msg->tenant, msg->volume, msg->size_bytes, msg->force, err);
}

HANDLER(handle_volume_limit)
{
	(void)fds;
	(void)n_fds;
	begin(s, request, msg, 0, set_limit);
}

static int measure(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_volume *msg = &task->u.volume;
	struct msg_disk reply = {.enforced = pool_has_limits(task->s->pool)};
	int r = pool_volume_usage(task->s->pool, msg->tenant, msg->volume, &reply.used, err);

	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return r;
}

HANDLER(handle_volume_usage)
{
	const struct msg_volume *in = msg;
	struct task *task;
	struct err err;
	int r = check(s, in, &err);

	(void)fds;
	(void)n_fds;
	task = handler_task(s, request, r < 0 ? &err : NULL);
	if (!task)
		return;
	task->u.volume = *in;
	task->needs_pool = true;
	task->fn = measure;
	task_start(task);
}

static int look_up(struct task *task, struct job_output *out, struct err *err)
{
	_cleanup_close_ int fd = -1;

	(void)out;
	return host_dirs_open(task->s->host_dirs_fd, task->u.host_directory.name, &fd, err);
}

HANDLER(handle_host_directory)
{
	const struct msg_host_directory *in = msg;
	struct task *task;
	struct err err;
	int r = handler_check_names(in->name, NULL, &err);

	(void)fds;
	(void)n_fds;
	task = handler_task(s, request, r < 0 ? &err : NULL);
	if (!task)
		return;
	task->u.host_directory = *in;
	task->fn = look_up; /* it may lie on a file system that hangs */
	task_start(task);
}
