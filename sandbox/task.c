/*
 * Requests carried out by workers; see task.h. The pool is attached here, once, by a worker of its
 * own, before the first task that needs it: making one takes longer than the loop may wait.
 */
#include "sandbox/task.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/peer.h"

#include <string.h>

#define POOL_TIMEOUT_MS 120000u

struct task *task_new(struct supervisor *s, const struct request *request, struct err *err)
{
	struct task *task;

	if (s->n_tasks >= TASKS_MAX) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, "HOST_BUSY",
			"too many requests are waiting for the host: try again");
		return NULL;
	}
	task = calloc(1, sizeof(*task));
	if (!task) {
		err_oom(err);
		return NULL;
	}
	s->n_tasks++;
	task->s = s;
	task->request = *request;
	task->into_cgroup_fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(task->fds); i++)
		task->fds[i] = -1;
	return task;
}

void task_claim(struct task *task, enum claim_kind kind, const char *name)
{
	task->claim = kind;
	memcpy(task->claimed, name, NAME_SIZE);
	task->next_claim = task->s->claims;
	task->s->claims = task;
}

static void give_up_claim(struct task *task)
{
	for (struct task **at = &task->s->claims; *at; at = &(*at)->next_claim)
		if (*at == task) {
			*at = task->next_claim;
			break;
		}
}

int task_check_unclaimed(
	const struct supervisor *s, enum claim_kind kind, const char *name, struct err *err)
{
	for (const struct task *task = s->claims; task; task = task->next_claim) {
		if (task->claim != kind || strcmp(task->claimed, name) != 0)
			continue;
		if (kind == CLAIM_TENANT)
			return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_BUSY",
				"tenant %s is just being deleted: try again", name);
		if (kind == CLAIM_EXPORT)
			return err_set(err, ERR_ABORTED, "EXPORT_BUSY",
				"tenant %s has an export under way: try again when it has ended",
				name);
		if (kind == CLAIM_IMPORT)
			return err_set(err, ERR_ABORTED, "IMPORT_BUSY",
				"tenant %s has an import under way: try again when it has ended",
				name);
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_BUSY",
			"image %s is just being imported or deleted: try again", name);
	}
	return 0;
}

void task_makes_in(struct task *task, const struct cgroup_id *container)
{
	task->container = *container;
	task->makes_in = &task->container;
}

void task_free(struct task *task)
{
	if (!task)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(task->fds); i++)
		close_fd(&task->fds[i]);
	give_up_claim(task);
	task->s->n_tasks--;
	free(task);
}

void task_take_back(struct task *task,
	int (*fn)(struct task *task, struct job_output *out, struct err *err),
	void (*done)(struct task *task, struct job_result *result))
{
	task->fn = fn;
	task->done = done;
	task->timeout_ms = 0;
	task->finishing = true;
	task->again = true;
}

void task_reply(struct task *task, const void *reply, const int *fds, size_t n_fds)
{
	peer_reply(task->s->peer, &task->request, reply, fds, n_fds);
}

void task_fail(struct task *task, const struct err *err)
{
	peer_fail(task->s->peer, &task->request, err);
}

static int work(void *arg, struct job_output *out, struct err *err)
{
	struct task *task = arg;

	return task->fn(task, out, err);
}

static void finished(void *arg, struct job_result *result)
{
	static const struct msg_empty empty;
	struct task *task = arg;

	if (task->done)
		task->done(task, result);
	else if (result->r < 0)
		task_fail(task, &result->err);
	else
		task_reply(task, result->size ? result->payload : &empty, NULL, 0);
	if (!task->again) {
		task_free(task);
		return;
	}
	task->again = false;
	task_start(task);
}

static void progressed(void *arg, const void *data, size_t size)
{
	struct task *task = arg;

	task->progress(task, data, size);
}

static void list_fds(void *arg, struct fd_list *list)
{
	const struct task *task = arg;

	for (size_t i = 0; i < ARRAY_SIZE(task->fds); i++)
		fd_list_add(list, task->fds[i]);
	fd_list_add(list, task->into_cgroup_fd);
	if (task->list_fds)
		task->list_fds(task, list);
}

static void fail_to_start(struct task *task, int r, const struct err *err)
{
	struct job_result result = {.r = r, .err = *err};

	finished(task, &result);
}

static void run(struct task *task)
{
	struct job_options options = {
		.fn = work,
		.done = finished,
		.progress = task->progress ? progressed : NULL,
		.list_fds = list_fds,
		.arg = task,
		.into_cgroup_fd = task->into_cgroup_fd,
		.timeout_ms = task->timeout_ms,
		.makes_in = task->makes_in,
		.tenant = task->tenant,
		.work_of = task->work_of,
		.finishing = task->finishing,
	};
	struct err err;
	int r = job_start(task->s->jobs, &options, &err);

	if (r < 0)
		fail_to_start(task, r, &err);
}

static int attach_pool(void *arg, struct job_output *out, struct err *err)
{
	struct supervisor *s = arg;
	struct pool_config config = supervisor_pool_config(s);
	struct block_device disk;
	struct pool *pool;
	struct err uncounted;
	int r = pool_attach(&config, &pool, err);

	(void)out;
	if (r < 0)
		return r;
	disk = pool_disk(pool);
	/* Here, as it may wait for the disk. All but I/O is billed without it. */
	if (cgroup_count_io_of(s->cgroups, &disk, &uncounted) < 0)
		log_warning("io not counted error=\"%s\"", uncounted.msg);
	return 0;
}

static void pool_is_ready(struct supervisor *s)
{
	struct block_device disk = pool_disk(s->pool);

	cgroup_limit_io_of(s->cgroups, &disk);
	if (disk.unknown)
		log_info("pool ready driver=%s disk=unknown reason=\"%s\"", pool_driver(s->pool),
			disk.unknown);
	else
		log_info("pool ready driver=%s disk=%u:%u", pool_driver(s->pool), disk.major,
			disk.minor);
}

static void pool_attached(void *arg, struct job_result *result)
{
	struct supervisor *s = arg;
	struct pool_config config = supervisor_pool_config(s);
	struct task *task = s->pool_waiters;
	struct err err = result->err;
	int r = result->r;

	s->pool_attaching = false;
	s->pool_waiters = NULL;
	/* It is mounted now, so this only opens it. */
	if (r == 0)
		r = pool_attach(&config, &s->pool, &err);
	if (r == 0)
		pool_is_ready(s);
	else
		log_error("pool not usable error=\"%s\"", err.msg);
	while (task) {
		struct task *next = task->next;

		if (r < 0)
			fail_to_start(task, r, &err);
		else
			run(task);
		task = next;
	}
}

static void append(struct task **at, struct task *task)
{
	while (*at)
		at = &(*at)->next;
	*at = task;
	task->next = NULL;
}

static void wait_for_pool(struct task *task)
{
	struct supervisor *s = task->s;
	struct job_options options = {
		.fn = attach_pool,
		.done = pool_attached,
		.arg = s,
		.into_cgroup_fd = -1,
		.timeout_ms = POOL_TIMEOUT_MS,
	};
	struct err err;
	int r;

	append(&s->pool_waiters, task);
	if (s->pool_attaching)
		return;
	s->pool_attaching = true;
	r = job_start(s->jobs, &options, &err);
	if (r < 0) {
		struct job_result result = {.r = r, .err = err};

		pool_attached(s, &result);
	}
}

void task_start(struct task *task)
{
	if (task->needs_adopted && task->s->adopting)
		append(&task->s->adoption_waiters, task);
	else if (task->needs_pool && !task->s->pool)
		wait_for_pool(task);
	else
		run(task);
}

void task_adopted(struct supervisor *s)
{
	struct task *task = s->adoption_waiters;

	s->adoption_waiters = NULL;
	while (task) {
		struct task *next = task->next;

		task_start(task);
		task = next;
	}
}
