/*
 * A container from a file: croft-importer unpacks it into a directory that takes the container's
 * name only when all has ended well. What it unpacks is all the container's own, under its disk
 * limit and its tenant's; the work is done in the tenant's leaf, billed to it, one import of a
 * tenant at a time.
 */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/disk_use.h"
#include "sandbox/handlers.h"
#include "sandbox/import_worker.h"
#include "sandbox/pool_snapshot.h"
#include "sandbox/snapshot_list.h"
#include "sandbox/tenant_leaf.h"

#include <inttypes.h>
#include <string.h>

/* The importer's own limit is on time without progress; this only bounds the whole. */
#define IMPORT_TIMEOUT_MS (6u * 3600 * 1000)
#define SECONDS_MAX	  3600u

/* What is asked for above these is refused. */
#define BYTES_MAX   (UINT64_C(1) << 44)
#define ENTRIES_MAX UINT64_C(100000000)

/* --- in the worker --- */

/* What comes out of the file. */
struct content {
	struct task *task;
	struct job_output *out;
	struct image_report report; /* of the container alone */
	struct snapshot_list list;
	uint64_t before; /* bytes of all trees but the last */
};

/* The tree at hand has ended: what it holds, by what all hold. */
static void end_tree(struct content *content, const struct image_report *all)
{
	struct snapshot_list *list = &content->list;

	if (!list->n)
		content->report = *all;
	else
		list->rows[list->n - 1].bytes = all->bytes - content->before;
	content->before = all->bytes;
}

static int take_snapshot(const struct snapshot_row *row, const struct image_report *report,
	int *ret_fd, void *arg, struct err *err)
{
	struct content *content = arg;
	const struct msg_container_import *msg = &content->task->u.unpack.msg;
	struct snapshot_row clean = *row;
	int r;

	end_tree(content, report);
	memset(clean.base, 0, sizeof(clean.base));
	r = snapshot_list_add(&content->list, &clean, err);
	if (r == 0 && content->list.n > msg->limits.snapshots)
		r = err_set(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_SNAPSHOTS",
			"the file has more snapshots than a container may have");
	return r < 0 ? r
		     : pool_import_snapshot(content->task->s->pool, msg->tenant, msg->container,
			       clean.name, ret_fd, err);
}

static int seal_snapshots(struct content *content, struct err *err)
{
	const struct msg_container_import *msg = &content->task->u.unpack.msg;
	struct pool *pool = content->task->s->pool;
	int r = 0;

	for (size_t i = 0; r == 0 && i < content->list.n; i++)
		r = pool_import_seal(
			pool, msg->tenant, msg->container, content->list.rows[i].name, err);
	return r;
}

/* The answer's descriptors. */
static int hand_over(struct content *content, int *config, struct err *err)
{
	struct job_output *out = content->out;
	int list = -1;

	if (content->task->u.unpack.msg.limits.snapshots) {
		int r = snapshot_list_send(&content->list, &list, err);

		if (r < 0)
			return r;
	}
	if (*config >= 0)
		out->fds[out->n_fds++] = take_fd(config);
	if (list >= 0)
		out->fds[out->n_fds++] = list;
	return 0;
}

static int unpack(struct content *content, int upper, int *ret_config, struct err *err)
{
	struct task *task = content->task;
	const struct msg_container_import *msg = &task->u.unpack.msg;
	struct image_report all = {0};
	struct image_import import = {
		.target_fd = upper,
		.limits = msg->limits,
		.init = "",
		.reference = "",
		.snapshot = take_snapshot,
		.arg = content,
	};
	int r = import_worker_run(task, &import, content->out, &all, ret_config, err);

	if (r < 0)
		return r;
	end_tree(content, &all);
	/* What starts it is known in the end. */
	all.bytes = content->report.bytes;
	all.entries = content->report.entries;
	content->report = all;
	return 0;
}

/* An image's words for it do not fit a container. */
static int explain(const struct msg_container_import *msg, int r, struct err *err)
{
	if (!strcmp(err->reason, "IMAGE_TOO_LARGE"))
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "IMPORT_TOO_LARGE", "disk",
			"the file unpacks to more than the %" PRIu64 " bytes or %" PRIu64
			" entries that the container may have, or than the %" PRIu64
			" that it may have with its snapshots",
			msg->limits.bytes, msg->limits.entries, msg->limits.all_bytes);
	if (strcmp(err->reason, "POOL_FULL") && r != -EDQUOT && r != -ENOSPC)
		return r;
	return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "DISK_LIMIT", "disk",
		"the container does not fit: its disk limit, its tenant's, or the host's pool is "
		"not large enough for what the file unpacks to");
}

static int import(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_container_import *msg = &task->u.unpack.msg;
	struct pool *pool = task->s->pool;
	struct content content = {.task = task, .out = out};
	struct msg_image_imported reply = {0};
	_cleanup_close_ int config = -1;
	_cleanup_close_ int upper = -1;
	int r = tenant_leaf_enter(task->s->cgroups, msg->tenant, err);

	if (r == 0)
		r = pool_import_begin(pool, msg->tenant, msg->container, &msg->disk, &upper, err);
	if (r < 0)
		return r;
	r = unpack(&content, upper, &config, err);
	close_fd(&upper);
	if (r == 0)
		r = seal_snapshots(&content, err);
	if (r == 0)
		r = hand_over(&content, &config, err);
	if (r == 0)
		r = pool_import_commit(pool, msg->tenant, msg->container, err);
	if (r < 0) {
		r = explain(msg, r, err);
		pool_import_drop(pool, msg->tenant, msg->container, NULL);
		return r;
	}
	reply.report = content.report;
	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return 0;
}

/* What a worker had that was killed. Its importer died with it. */
static int clean_up(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_container_import *msg = &task->u.unpack.msg;
	int r = pool_import_drop(task->s->pool, msg->tenant, msg->container, err);

	(void)out;
	if (task->u.unpack.id_base)
		idrange_put(task->s->ids, task->u.unpack.id_base, NULL);
	return r;
}

/* --- in the loop --- */

static void progressed(struct task *task, const void *data, size_t size)
{
	const struct msg_container_import *in = &task->u.unpack.msg;
	struct msg_import_progress msg;

	if (!import_worker_told(data, size, &task->u.unpack.id_base, &msg))
		return;
	memcpy(msg.tenant, in->tenant, sizeof(msg.tenant));
	memcpy(msg.container, in->container, sizeof(msg.container));
	peer_event(task->s->peer, MSG_EVENT_IMPORT_PROGRESS, &msg, NULL, 0);
}

static void cleaned_up(struct task *task, struct job_result *result)
{
	const struct msg_container_import *msg = &task->u.unpack.msg;

	if (result->r < 0)
		log_error("import not taken back tenant=%s container=%s error=\"%s\"", msg->tenant,
			msg->container, result->err.msg);
	disk_use_end(task->s, msg->tenant, msg->container);
	task_fail(task, &task->u.unpack.err);
}

static void import_done(struct task *task, struct job_result *result)
{
	const struct msg_container_import *msg = &task->u.unpack.msg;

	if (result->lost) {
		task->u.unpack.err = result->err;
		task_take_back(task, clean_up, cleaned_up);
		return;
	}
	disk_use_end(task->s, msg->tenant, msg->container);
	if (result->r < 0)
		task_fail(task, &result->err);
	else
		task_reply(task, result->payload, result->fds, result->n_fds);
}

static int check(struct supervisor *s, const struct msg_container_import *in, struct err *err)
{
	const struct image_limits *limits = &in->limits;

	if (handler_check_names(in->tenant, in->container, err) < 0 ||
		limits_check_disk(&in->disk, err) < 0)
		return -EINVAL;
	if (!limits->bytes || limits->bytes > BYTES_MAX || !limits->entries ||
		limits->entries > ENTRIES_MAX || !limits->seconds ||
		limits->seconds > SECONDS_MAX || limits->snapshots > SNAPSHOT_LIST_MAX ||
		limits->all_bytes > BYTES_MAX || limits->all_entries > ENTRIES_MAX ||
		(limits->snapshots && (!limits->all_bytes || !limits->all_entries)))
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST",
			"the limits of an import are out of range");
	if (task_check_unclaimed(s, CLAIM_IMPORT, in->tenant, err) < 0 ||
		task_check_unclaimed(s, CLAIM_TENANT, in->tenant, err) < 0)
		return -EBUSY;
	return container_check_idle(s, in->tenant, in->container, err);
}

HANDLER(handle_container_import)
{
	const struct msg_container_import *in = msg;
	struct task *task;
	struct err err;
	int r = check(s, in, &err);

	(void)n_fds;
	task = handler_disk_task(s, request, in->tenant, in->container, r, &err);
	if (!task)
		return;
	task_claim(task, CLAIM_IMPORT, in->tenant);
	task->fds[0] = take_fd(&fds[0]);
	task->u.unpack.msg = *in;
	task->tenant = task->u.unpack.msg.tenant;
	task->work_of = task->u.unpack.msg.tenant;
	task->timeout_ms = IMPORT_TIMEOUT_MS;
	task->fn = import;
	task->done = import_done;
	task->progress = progressed;
	task_start(task);
}
