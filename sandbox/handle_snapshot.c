/*
 * Snapshots, copies, new names: what is done to a container's directory as a whole. Each takes the
 * directory for itself (disk_use.h), so that nothing starts on it meanwhile; a running container is
 * paused where that is enough.
 */
#include "base/cleanup.h"
#include "sandbox/container.h"
#include "sandbox/disk_use.h"
#include "sandbox/handlers.h"
#include "sandbox/pause.h"
#include "sandbox/pool_snapshot.h"
#include "sandbox/task.h"
#include "sandbox/tenant_leaf.h"

#include <string.h>

/* On a pool that has to copy, it takes as long as the tree is large. */
#define COPY_TIMEOUT_MS (6u * 3600 * 1000)

void handler_container_id(const char *tenant, const char *container, struct cgroup_id *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->tenant, tenant, NAME_SIZE);
	memcpy(ret->container, container, NAME_SIZE);
}

/* Where the work is more than one call of the kernel, it is the tenant's to pay. */
static int enter_leaf(struct task *task, const char *tenant, struct err *err)
{
	return pool_copies(task->s->pool) ? tenant_leaf_enter(task->s->cgroups, tenant, err) : 0;
}

/* --- in the loop --- */

int handler_check_pause(struct supervisor *s, const char *tenant, const char *container,
	uint8_t pause, struct err *err)
{
	struct container *c;

	if (pause == PAUSE_STOPPED)
		return container_check_idle(s, tenant, container, err);
	c = container_find_running(s, tenant, container, err);
	if (!c)
		return -EBUSY;
	if (pause > PAUSE_FROZEN ||
		(pause == PAUSE_FROZEN && cgroup_is_frozen(s->cgroups, &c->cgroup) != 1))
		return err_set(err, ERR_ABORTED, "CONTAINER_STATE",
			"container %s is not frozen; try again", container);
	if (c->freezing)
		return err_set(err, ERR_ABORTED, "CONTAINER_BUSY",
			"container %s is being frozen or thawed; try again", container);
	return 0;
}

void handler_set_paused(
	struct supervisor *s, const char *tenant, const char *container, bool paused)
{
	struct container *c = container_find(s, tenant, container);

	if (c)
		c->paused = paused;
}

struct task *handler_disk_task(struct supervisor *s, const struct request *request,
	const char *tenant, const char *container, int r, struct err *err)
{
	struct task *task;

	if (r == 0)
		r = handler_check_ready(s, err);
	if (r == 0)
		r = disk_use_begin(s, tenant, container, err);
	task = handler_task(s, request, r < 0 ? err : NULL);
	if (!task && r == 0)
		disk_use_end(s, tenant, container);
	if (!task)
		return NULL;
	task->needs_pool = true;
	task->timeout_ms = COPY_TIMEOUT_MS;
	return task;
}

static void answer(struct task *task, struct job_result *result)
{
	static const struct msg_empty empty;

	if (result->r < 0)
		task_fail(task, &result->err);
	else
		task_reply(task, result->size ? result->payload : &empty, NULL, 0);
}

void handler_end_pause(struct supervisor *s, const char *tenant, const char *container)
{
	struct cgroup_id id;

	handler_container_id(tenant, container, &id);
	pause_end(s, &id);
	handler_set_paused(s, tenant, container, false);
}

/* --- snapshots --- */

static void snapshot_done(struct task *task, struct job_result *result)
{
	const struct msg_snapshot *msg = &task->u.snapshot;

	handler_end_pause(task->s, msg->tenant, msg->container);
	disk_use_end(task->s, msg->tenant, msg->container);
	answer(task, result);
}

static int make(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_snapshot *msg = &task->u.snapshot;
	struct msg_snapshot_made reply = {0};
	struct cgroup_id id;
	struct reading_pause pause;
	int r = enter_leaf(task, msg->tenant, err);

	if (r < 0)
		return r;
	handler_container_id(msg->tenant, msg->container, &id);
	pause_while_read(&pause, task->s, &id, msg->pause == PAUSE_FREEZE);
	r = pool_snapshot_make(task->s->pool, msg->tenant, msg->container, msg->snapshot,
		&msg->disk, &reply.used_bytes, err);
	pause_stop(&pause);
	reply.paused_usec = pause.took_usec;
	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return r;
}

static int check_snapshot(const struct msg_snapshot *in, struct err *err)
{
	if (handler_check_names(in->tenant, in->container, err) < 0 ||
		handler_check_names(in->snapshot, NULL, err) < 0)
		return -EINVAL;
	return limits_check_disk(&in->disk, err);
}

HANDLER(handle_snapshot_make)
{
	const struct msg_snapshot *in = msg;
	struct task *task;
	struct err err;
	int r = check_snapshot(in, &err);

	(void)fds;
	(void)n_fds;
	if (r == 0)
		r = handler_check_pause(s, in->tenant, in->container, in->pause, &err);
	task = handler_disk_task(s, request, in->tenant, in->container, r, &err);
	if (!task)
		return;
	handler_set_paused(s, in->tenant, in->container, in->pause == PAUSE_FREEZE);
	task->u.snapshot = *in;
	task->tenant = task->u.snapshot.tenant;
	task->work_of = task->u.snapshot.tenant;
	task->fn = make;
	task->done = snapshot_done;
	task_start(task);
}

static int restore(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_snapshot *msg = &task->u.snapshot;
	int r = enter_leaf(task, msg->tenant, err);

	(void)out;
	return r < 0 ? r
		     : pool_snapshot_restore(task->s->pool, msg->tenant, msg->container,
			       msg->snapshot, &msg->disk, err);
}

static int remove_snapshot(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_snapshot *msg = &task->u.snapshot;

	(void)out;
	return pool_snapshot_remove(
		task->s->pool, msg->tenant, msg->container, msg->snapshot, &msg->disk, err);
}

static void start_snapshot_task(struct supervisor *s, const struct request *request,
	const struct msg_snapshot *in, int r, struct err *err,
	int (*fn)(struct task *task, struct job_output *out, struct err *err))
{
	struct task *task = handler_disk_task(s, request, in->tenant, in->container, r, err);

	if (!task)
		return;
	task->u.snapshot = *in;
	task->work_of = fn == restore ? task->u.snapshot.tenant : NULL;
	task->fn = fn;
	task->done = snapshot_done;
	task_start(task);
}

HANDLER(handle_snapshot_restore)
{
	const struct msg_snapshot *in = msg;
	struct err err;
	int r = check_snapshot(in, &err);

	(void)fds;
	(void)n_fds;
	if (r == 0)
		r = container_check_idle(s, in->tenant, in->container, &err);
	start_snapshot_task(s, request, in, r, &err, restore);
}

HANDLER(handle_snapshot_remove)
{
	const struct msg_snapshot *in = msg;
	struct err err;
	int r = check_snapshot(in, &err);

	(void)fds;
	(void)n_fds;
	start_snapshot_task(s, request, in, r, &err, remove_snapshot);
}

/* --- an image of a snapshot --- */

static int publish(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_publish *msg = &task->u.publish;
	struct pool *pool = task->s->pool;
	struct msg_image_imported reply = {.report = {.final = 1}};
	struct tree_report tree;
	int r = tenant_leaf_enter(task->s->cgroups, msg->tenant, err);

	if (r < 0)
		return r;
	r = pool_image_merge(pool, msg->tenant, msg->container, msg->snapshot, msg->base,
		msg->image, &tree, err);
	if (r == 0)
		r = pool_image_commit(pool, msg->image, err);
	if (r < 0) {
		pool_image_abort(pool, msg->image, NULL);
		return r;
	}
	reply.report.bytes = tree.bytes;
	reply.report.entries = tree.entries;
	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return 0;
}

static void publish_done(struct task *task, struct job_result *result)
{
	const struct msg_publish *msg = &task->u.publish;

	disk_use_end(task->s, msg->tenant, msg->container);
	answer(task, result);
}

HANDLER(handle_snapshot_publish)
{
	const struct msg_publish *in = msg;
	struct task *task;
	struct err err;
	int r = handler_check_names(in->tenant, in->container, &err);

	(void)fds;
	(void)n_fds;
	if (r == 0)
		r = handler_check_names(in->snapshot, NULL, &err);
	if (r == 0)
		r = handler_check_base(in->base, &err);
	if (r == 0)
		r = handler_check_names(in->image, NULL, &err);
	if (r == 0)
		r = task_check_unclaimed(s, CLAIM_IMAGE, in->image, &err);
	task = handler_disk_task(s, request, in->tenant, in->container, r, &err);
	if (!task)
		return;
	task_claim(task, CLAIM_IMAGE, in->image);
	task->u.publish = *in;
	task->work_of = task->u.publish.tenant;
	task->fn = publish;
	task->done = publish_done;
	task_start(task);
}

/* --- copies, names, a new beginning --- */

static int copy(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_copy *msg = &task->u.copy;
	struct cgroup_id id;
	struct reading_pause pause;
	int r = enter_leaf(task, msg->tenant, err);

	(void)out;
	if (r < 0)
		return r;
	handler_container_id(msg->tenant, msg->from, &id);
	pause_while_read(&pause, task->s, &id, msg->pause == PAUSE_FREEZE);
	r = pool_upper_copy(
		task->s->pool, msg->tenant, msg->from, msg->snapshot, msg->to, &msg->disk, err);
	pause_stop(&pause);
	return r;
}

static void copy_done(struct task *task, struct job_result *result)
{
	const struct msg_copy *msg = &task->u.copy;

	handler_end_pause(task->s, msg->tenant, msg->from);
	disk_use_end(task->s, msg->tenant, msg->from);
	disk_use_end(task->s, msg->tenant, msg->to);
	answer(task, result);
}

static int check_copy(struct supervisor *s, const struct msg_copy *in, struct err *err)
{
	int r;

	if (handler_check_names(in->tenant, in->from, err) < 0 ||
		handler_check_names(in->to, in->snapshot[0] ? in->snapshot : NULL, err) < 0 ||
		limits_check_disk(&in->disk, err) < 0)
		return -EINVAL;
	/* Of a snapshot nothing is written, whatever the container does. */
	r = in->snapshot[0] ? 0 : handler_check_pause(s, in->tenant, in->from, in->pause, err);
	if (r == 0)
		r = container_check_idle(s, in->tenant, in->to, err);
	return r;
}

/* Takes the second directory of two; the first is given back when that fails. */
static int take_second(struct supervisor *s, const char *tenant, const char *first,
	const char *second, struct err *err)
{
	int r = disk_use_begin(s, tenant, first, err);

	if (r < 0)
		return r;
	r = disk_use_begin(s, tenant, second, err);
	disk_use_end(s, tenant, first);
	return r;
}

HANDLER(handle_container_copy)
{
	const struct msg_copy *in = msg;
	struct task *task;
	struct err err;
	int r = check_copy(s, in, &err);

	(void)fds;
	(void)n_fds;
	if (r == 0)
		r = take_second(s, in->tenant, in->from, in->to, &err);
	task = handler_disk_task(s, request, in->tenant, in->from, r, &err);
	if (!task) {
		if (r == 0)
			disk_use_end(s, in->tenant, in->to);
		return;
	}
	task->u.copy = *in;
	if (in->snapshot[0])
		task->u.copy.pause = PAUSE_STOPPED;
	handler_set_paused(s, in->tenant, in->from, task->u.copy.pause == PAUSE_FREEZE);
	task->tenant = task->u.copy.tenant;
	task->work_of = task->u.copy.tenant;
	task->fn = copy;
	task->done = copy_done;
	task_start(task);
}

static int rename_upper(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_rename *msg = &task->u.rename;

	(void)out;
	return pool_upper_rename(task->s->pool, msg->tenant, msg->from, msg->to, err);
}

static void rename_done(struct task *task, struct job_result *result)
{
	const struct msg_rename *msg = &task->u.rename;

	disk_use_end(task->s, msg->tenant, msg->from);
	disk_use_end(task->s, msg->tenant, msg->to);
	answer(task, result);
}

HANDLER(handle_container_rename)
{
	const struct msg_rename *in = msg;
	struct task *task;
	struct err err;
	int r = handler_check_names(in->tenant, in->from, &err);

	(void)fds;
	(void)n_fds;
	if (r == 0)
		r = handler_check_names(in->to, NULL, &err);
	if (r == 0)
		r = container_check_idle(s, in->tenant, in->from, &err);
	if (r == 0)
		r = container_check_idle(s, in->tenant, in->to, &err);
	if (r == 0)
		r = take_second(s, in->tenant, in->from, in->to, &err);
	task = handler_disk_task(s, request, in->tenant, in->from, r, &err);
	if (!task) {
		if (r == 0)
			disk_use_end(s, in->tenant, in->to);
		return;
	}
	task->u.rename = *in;
	task->fn = rename_upper;
	task->done = rename_done;
	task_start(task);
}

static int rebuild(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_container_create *msg = &task->u.create;

	(void)out;
	return pool_upper_reset(task->s->pool, msg->tenant, msg->container, &msg->disk, err);
}

static void rebuild_done(struct task *task, struct job_result *result)
{
	const struct msg_container_create *msg = &task->u.create;

	disk_use_end(task->s, msg->tenant, msg->container);
	answer(task, result);
}

HANDLER(handle_container_rebuild)
{
	const struct msg_container_create *in = msg;
	struct task *task;
	struct err err;
	int r = handler_check_names(in->tenant, in->container, &err);

	(void)fds;
	(void)n_fds;
	if (r == 0)
		r = limits_check_disk(&in->disk, &err);
	if (r == 0)
		r = container_check_idle(s, in->tenant, in->container, &err);
	task = handler_disk_task(s, request, in->tenant, in->container, r, &err);
	if (!task)
		return;
	task->u.create = *in;
	task->fn = rebuild;
	task->done = rebuild_done;
	task_start(task);
}
