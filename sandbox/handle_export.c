/*
 * A container as one file. It is copied while it cannot write, and goes on; the copy is laid over
 * its image, and croft-packer makes the file of that, as fast as it is taken. All of it in the
 * tenant's leaf, billed to it; one at a time of a tenant.
 *
 * Its snapshots, where they are wanted, follow it, each whole, and laid over its image only when
 * the one before is packed. They are held by nothing: croftd sees to it that they are still the
 * same in the end.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/disk_use.h"
#include "sandbox/handlers.h"
#include "sandbox/pack_run.h"
#include "sandbox/pause.h"
#include "sandbox/pool_snapshot.h"
#include "sandbox/snapshot_list.h"
#include "sandbox/tenant_leaf.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The limit on time without progress ends it sooner; this only bounds the whole. */
#define EXPORT_TIMEOUT_MS (24u * 3600 * 1000)
#define SECONDS_MAX	  3600u

/* What the worker tells of on its way. */
struct export_step {
	uint32_t id_base;
	uint32_t copied;
};

static void tell(struct job_output *out, uint32_t id_base)
{
	const struct export_step step = {.id_base = id_base, .copied = 1};

	job_progress(out, &step, sizeof(step));
}

/* --- in the worker --- */

static int copy(struct task *task, const struct msg_export *msg, struct err *err)
{
	struct cgroup_id id;
	struct reading_pause pause;
	int r;

	handler_container_id(msg->tenant, msg->container, &id);
	pause_while_read(&pause, task->s, &id, msg->pause == PAUSE_FREEZE);
	r = pool_export_copy(task->s->pool, msg->tenant, msg->container, err);
	pause_stop(&pause);
	return r;
}

/* What is packed. */
struct content {
	struct task *task;
	int container; /* its files, laid over its image; -1: packed */
	struct snapshot_list list;
};

static int next_tree(void *arg, unsigned n, int *ret_fd, struct err *err)
{
	struct content *content = arg;
	const struct msg_export *msg = &content->task->u.pack.msg;
	struct pool *pool = content->task->s->pool;
	const struct snapshot_row *row;
	int r;

	if (n == 0) {
		*ret_fd = take_fd(&content->container);
		return 1;
	}
	if (n > content->list.n)
		return 0;
	row = &content->list.rows[n - 1];
	r = pool_export_drop(pool, msg->tenant, NULL, err);
	if (r == 0)
		r = pool_export_merge_snapshot(
			pool, msg->tenant, msg->container, row->name, row->base, ret_fd, err);
	return r < 0 ? r : 1;
}

/* -1: none is to be in the file. */
static int write_list(const struct content *content, int *ret_fd, struct err *err)
{
	char text[SNAPSHOT_LIST_TEXT_MAX];
	size_t n = snapshot_list_format(&content->list, text);
	int fd = content->task->fds[1] < 0 ? -1 : fd_sealed_memfd("croft-snapshots", text, n);

	if (content->task->fds[1] >= 0 && fd < 0)
		return err_sys(err, fd, "write the list of snapshots");
	*ret_fd = fd;
	return 0;
}

static int pack(struct task *task, struct content *content, struct job_output *out, struct err *err)
{
	const struct msg_export *msg = &task->u.pack.msg;
	struct supervisor *s = task->s;
	_cleanup_close_ int list = -1;
	_cleanup_close_ int root = -1;
	struct msg_exported reply;
	struct pack_total total;
	struct pack_run run = {
		.packer_fd = s->packer_fd,
		.stream_fd = task->fds[0],
		.seconds = msg->seconds,
		.next = next_tree,
		.arg = content,
	};
	int r = write_list(content, &list, err);

	if (r == 0)
		r = pool_base_open(s->pool, "", &root, err);
	if (r == 0)
		r = idrange_take(s->ids, &run.id_base, err);
	if (r < 0)
		return r;
	run.list_fd = list;
	run.root_fd = root;
	/* Told at once: should we be killed, the supervisor gives it back. */
	tell(out, run.id_base);
	r = pack_run(&run, &total, err);
	idrange_put(s->ids, run.id_base, NULL);
	if (r < 0)
		return r;
	reply = (struct msg_exported){.bytes = total.bytes, .entries = total.entries};
	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return 0;
}

static int export(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_export *msg = &task->u.pack.msg;
	struct pool *pool = task->s->pool;
	struct content content = {.task = task, .container = -1};
	bool copied = false;
	int r = tenant_leaf_enter(task->s->cgroups, msg->tenant, err);

	if (r == 0 && task->fds[1] >= 0)
		r = snapshot_list_receive(task->fds[1], &content.list, err);
	if (r == 0)
		r = copy(task, msg, err);
	if (r == 0)
		r = pool_export_merge(
			pool, msg->tenant, msg->container, msg->image, &content.container, err);
	if (r == 0) {
		copied = true;
		tell(out, 0);
		r = pack(task, &content, out, err);
	}
	close_fd(&content.container);
	pool_export_drop(pool, msg->tenant, copied ? NULL : msg->container, NULL);
	return r;
}

/* What a worker had that was killed. Its packer died with it. */
static int clean_up(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_export *msg = &task->u.pack.msg;
	int r = pool_export_drop(
		task->s->pool, msg->tenant, task->u.pack.copied ? NULL : msg->container, err);

	(void)out;
	if (task->u.pack.id_base)
		idrange_put(task->s->ids, task->u.pack.id_base, NULL);
	return r;
}

/* --- in the loop --- */

/* The container starts, stops and goes as it likes from now on. */
static void let_go(struct task *task)
{
	const struct msg_export *msg = &task->u.pack.msg;

	if (task->u.pack.copied)
		return;
	task->u.pack.copied = true;
	handler_end_pause(task->s, msg->tenant, msg->container);
	disk_use_end(task->s, msg->tenant, msg->container);
}

static void progressed(struct task *task, const void *data, size_t size)
{
	struct export_step step;

	if (size != sizeof(step))
		return;
	memcpy(&step, data, sizeof(step));
	task->u.pack.id_base = step.id_base;
	let_go(task);
}

static void cleaned_up(struct task *task, struct job_result *result)
{
	const struct msg_export *msg = &task->u.pack.msg;

	if (result->r < 0)
		log_error("export not taken back tenant=%s container=%s error=\"%s\"", msg->tenant,
			msg->container, result->err.msg);
	let_go(task);
	task_fail(task, &task->u.pack.err);
}

static void export_done(struct task *task, struct job_result *result)
{
	if (result->lost) {
		task->u.pack.err = result->err;
		task_take_back(task, clean_up, cleaned_up);
		return;
	}
	let_go(task);
	if (result->r < 0)
		task_fail(task, &result->err);
	else
		task_reply(task, result->payload, NULL, 0);
}

/* A pipe of the kernel's: writing to it ends by itself when nobody reads. */
static int check_stream(int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
		(fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY && fd_set_nonblock(fd, false) == 0)
		return 0;
	return err_set(
		err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST", "an export is written to a pipe");
}

static int check(struct supervisor *s, const struct msg_export *in, int stream_fd, struct err *err)
{
	if (handler_check_names(in->tenant, in->container, err) < 0 ||
		handler_check_base(in->image, err) < 0 || check_stream(stream_fd, err) < 0)
		return -EINVAL;
	if (!in->seconds || in->seconds > SECONDS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST",
			"the time limit of an export is out of range");
	if (task_check_unclaimed(s, CLAIM_EXPORT, in->tenant, err) < 0 ||
		task_check_unclaimed(s, CLAIM_TENANT, in->tenant, err) < 0)
		return -EBUSY;
	return handler_check_pause(s, in->tenant, in->container, in->pause, err);
}

HANDLER(handle_container_export)
{
	const struct msg_export *in = msg;
	struct task *task;
	struct err err;
	int r = check(s, in, fds[0], &err);

	task = handler_disk_task(s, request, in->tenant, in->container, r, &err);
	if (!task)
		return;
	handler_set_paused(s, in->tenant, in->container, in->pause == PAUSE_FREEZE);
	task_claim(task, CLAIM_EXPORT, in->tenant);
	task->fds[0] = take_fd(&fds[0]);
	if (n_fds > 1)
		task->fds[1] = take_fd(&fds[1]);
	task->u.pack.msg = *in;
	task->tenant = task->u.pack.msg.tenant;
	task->work_of = task->u.pack.msg.tenant;
	task->timeout_ms = EXPORT_TIMEOUT_MS;
	task->fn = export;
	task->done = export_done;
	task->progress = progressed;
	task_start(task);
}
