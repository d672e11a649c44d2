/*
 * Images: an import runs croft-importer in a worker, into a directory that becomes an image only
 * when it has ended well.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/handlers.h"
#include "sandbox/import_worker.h"

#include <string.h>

/* The importer's own limit is on time without progress; this only bounds the whole. */
#define IMPORT_TIMEOUT_MS (6u * 3600 * 1000)

/* What is asked for above these is refused: they bound the host's disk, not the archive's taste. */
#define IMAGE_BYTES_MAX	  (UINT64_C(1) << 44)
#define IMAGE_ENTRIES_MAX UINT64_C(100000000)

static int unpack(struct task *task, int target_fd, struct job_output *out,
	struct image_report *report, struct err *err)
{
	const struct msg_image *msg = &task->u.import.msg;
	struct image_import import = {
		.target_fd = target_fd,
		.limits = msg->limits,
		.init = msg->init,
		.reference = msg->reference,
	};
	int config = -1;
	int r = import_worker_run(task, &import, out, report, &config, err);

	if (r == 0 && config >= 0)
		out->fds[out->n_fds++] = config;
	return r;
}

static int import(struct task *task, struct job_output *out, struct err *err)
{
	const char *image = task->u.import.msg.image;
	struct pool *pool = task->s->pool;
	struct msg_image_imported reply = {0};
	_cleanup_close_ int target = -1;
	int r = pool_image_begin(pool, image, &target, err);

	if (r < 0)
		return r;
	r = unpack(task, target, out, &reply.report, err);
	if (r == 0)
		r = pool_image_commit(pool, image, err);
	if (r < 0) {
		close_fd(&target);
		pool_image_abort(pool, image, NULL);
		return r;
	}
	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return 0;
}

static void progressed(struct task *task, const void *data, size_t size)
{
	struct msg_import_progress msg;

	if (!import_worker_told(data, size, &task->u.import.id_base, &msg))
		return;
	memcpy(msg.image, task->u.import.msg.image, sizeof(msg.image));
	peer_event(task->s->peer, MSG_EVENT_IMPORT_PROGRESS, &msg, NULL, 0);
}

/* What an importing worker had that was killed. Its importer died with it. */
static int clean_up(struct task *task, struct job_output *out, struct err *err)
{
	int r = pool_image_abort(task->s->pool, task->u.import.msg.image, err);

	(void)out;
	return r < 0 ? r : idrange_put(task->s->ids, task->u.import.id_base, err);
}

static void cleaned_up(struct task *task, struct job_result *result)
{
	if (result->r < 0)
		log_error("import not taken back image=%s error=\"%s\"", task->u.import.msg.image,
			result->err.msg);
	task_fail(task, &task->u.import.err);
}

static void import_done(struct task *task, struct job_result *result)
{
	if (result->r == 0) {
		task_reply(task, result->payload, result->fds, result->n_fds);
	} else if (!result->lost || !task->u.import.id_base) {
		task_fail(task, &result->err);
	} else {
		task->u.import.err = result->err;
		task_take_back(task, clean_up, cleaned_up);
	}
}

/* Only the form: what is behind it is for the importer to see, in its jail. */
static bool init_is_valid(const char init[static IMAGE_INIT_PATH_MAX])
{
	size_t len = strnlen(init, IMAGE_INIT_PATH_MAX);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)init[i] < ' ')
			return false;
	return len < IMAGE_INIT_PATH_MAX && (!len || init[0] == '/');
}

HANDLER(handle_image_import)
{
	const struct msg_image *in = msg;
	struct task *task;
	struct err err;

	(void)n_fds;
	if (handler_check_names(in->image, NULL, &err) < 0 || handler_check_ready(s, &err) < 0 ||
		task_check_unclaimed(s, CLAIM_IMAGE, in->image, &err) < 0) {
		peer_fail(s->peer, request, &err);
		return;
	}
	if (!image_reference_is_valid(in->reference) || !init_is_valid(in->init) ||
		!in->limits.bytes || in->limits.bytes > IMAGE_BYTES_MAX || !in->limits.entries ||
		in->limits.entries > IMAGE_ENTRIES_MAX || !in->limits.seconds ||
		in->limits.snapshots) {
		err_set(&err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST",
			"the limits, the reference or the init of an import are out of range");
		peer_fail(s->peer, request, &err);
		return;
	}
	task = handler_task(s, request, NULL);
	if (!task)
		return;
	task_claim(task, CLAIM_IMAGE, in->image);
	task->u.import.msg = *in;
	task->fds[0] = take_fd(&fds[0]);
	task->work_of = "";
	task->needs_pool = true;
	task->timeout_ms = IMPORT_TIMEOUT_MS;
	task->fn = import;
	task->done = import_done;
	task->progress = progressed;
	task_start(task);
}

static int remove_image(struct task *task, struct job_output *out, struct err *err)
{
	(void)out;
	return pool_image_remove(task->s->pool, task->u.image.image, err);
}

HANDLER(handle_image_remove)
{
	const struct msg_image *in = msg;
	struct task *task;
	bool refused;
	struct err err;

	(void)fds;
	(void)n_fds;
	refused = handler_check_names(in->image, NULL, &err) < 0 ||
		  task_check_unclaimed(s, CLAIM_IMAGE, in->image, &err) < 0;
	task = handler_task(s, request, refused ? &err : NULL);
	if (!task)
		return;
	task_claim(task, CLAIM_IMAGE, in->image);
	task->u.image = *in;
	task->needs_pool = true;
	task->fn = remove_image;
	task_start(task);
}
