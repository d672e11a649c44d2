/*
 * See view.h. The loop only keeps the states and watches for ends; starting, ending, and laying
 * files over others is done by workers. Must never make a container wait for an lxcfs that fails.
 */
#include "sandbox/view.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/task.h"
#include "sandbox/view_program.h"
#include "sandbox/view_renew.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LXCFS_PATH	"/usr/bin/lxcfs"
#define LXCFS_OFF	"off"
#define LOOK_MS		10000u /* how often each is looked at, and */
#define LOOK_MORE_MS	20u    /* later by this for each that there is */
#define IDLE_LOOKS	6      /* without a container for so many, it is ended */
#define PAUSE_MS	100u   /* before it is started anew; doubled each time up to */
#define PAUSE_MAX_MS	60000u
#define STEADY_USEC	60000000u /* what has lived for so long has not failed */
#define VIEW_TIMEOUT_MS 20000u

enum view_state { VIEW_STARTING, VIEW_UP, VIEW_DOWN, VIEW_ENDING };

struct view {
	struct supervisor *s;
	struct view *next;
	enum view_state state;
	struct view_program program; /* of the job that runs */
	struct view_file file;
	int pidfd;
	bool is_child;
	bool asked;	   /* whether it still answers; it has not yet */
	unsigned idle;	   /* looks in a row that found no container */
	unsigned failures; /* in a row */
	uint64_t start_usec;
	struct task *waiters; /* starts of containers */
	struct watch watch;
	struct timer timer;
};

static const char *lxcfs_path(const struct supervisor *s)
{
	return s->config.lxcfs ? s->config.lxcfs : LXCFS_PATH;
}

enum view_kind view_kind_of(const struct supervisor *s)
{
	if (!strcmp(lxcfs_path(s), LXCFS_OFF))
		return VIEW_KIND_OFF;
	return access(lxcfs_path(s), X_OK) == 0 && access("/dev/fuse", R_OK | W_OK) == 0
		       ? VIEW_KIND_LXCFS
		       : VIEW_KIND_NONE;
}

static const char *tenant_of(const struct view *v)
{
	return v->program.id.container;
}

static struct view *find(const struct supervisor *s, const char *tenant)
{
	struct view *v = s->views;

	while (v && strcmp(tenant_of(v), tenant) != 0)
		v = v->next;
	return v;
}

static struct view *view_new(struct supervisor *s, const char *tenant)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->s = s;
	v->pidfd = -1;
	v->state = VIEW_DOWN;
	v->program = (struct view_program){
		.path = lxcfs_path(s),
		.id = view_program_cgroup(tenant),
		.cgroups = s->cgroups,
		.views_fd = s->views_fd,
	};
	v->next = s->views;
	s->views = v;
	return v;
}

static void view_free(struct view *v)
{
	struct view **at = &v->s->views;

	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
	watch_stop(&v->watch);
	timer_stop(&v->timer);
	close_fd(&v->pidfd);
	free(v);
}

void view_forget_all(struct supervisor *s)
{
	while (s->views)
		view_free(s->views);
}

bool view_has_pid(const struct supervisor *s, pid_t pid)
{
	for (const struct view *v = s->views; v; v = v->next)
		if (v->is_child && v->file.pid == pid)
			return true;
	return false;
}

static bool has_containers(const struct view *v)
{
	for (const struct container *c = v->s->containers; c; c = c->next)
		if (!strcmp(c->cgroup.tenant, tenant_of(v)) &&
			(c->state == CONTAINER_STARTING || c->state == CONTAINER_RUNNING))
			return true;
	return false;
}

static void renew_all(const struct view *v)
{
	for (const struct container *c = v->s->containers; c; c = c->next)
		if (!strcmp(c->cgroup.tenant, tenant_of(v)) && c->state == CONTAINER_RUNNING)
			view_renew(v->s, c);
}

/* Those that waited start now, with or without. */
static void release_waiters(struct view *v)
{
	struct task *task = v->waiters;

	v->waiters = NULL;
	while (task) {
		struct task *next = task->next;

		task->u.spawn.view_pid = v->state == VIEW_UP ? v->file.pid : 0;
		task_start(task);
		task = next;
	}
}

static void start(struct view *v);
static void on_timer(struct timer *timer);
static void look_later(struct view *v);
static void on_exit_of_lxcfs(struct watch *watch, uint32_t events);

static void pause_before_start(struct view *v)
{
	unsigned shift = v->failures < 16 ? v->failures : 16;
	uint64_t ms = (uint64_t)PAUSE_MS << shift;

	v->state = VIEW_DOWN;
	timer_start(v->s->reactor, &v->timer, (unsigned)(ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS),
		on_timer, v);
}

/* Watches one that runs; an error is as its end. */
static int run(struct view *v, const struct view_file *file, int pidfd, bool is_child)
{
	struct err err;

	v->file = *file;
	v->pidfd = pidfd;
	v->is_child = is_child;
	v->start_usec = clock_boot_usec();
	v->asked = false;
	v->idle = 0;
	v->state = VIEW_UP;
	if (watch_start(v->s->reactor, &v->watch, pidfd, EPOLLIN, on_exit_of_lxcfs, v, &err) < 0) {
		log_error("lxcfs not watched tenant=%s error=\"%s\"", tenant_of(v), err.msg);
		return -EIO;
	}
	look_later(v);
	return 0;
}

static int start_program(void *arg, struct job_output *out, struct err *err)
{
	struct view *v = arg;

	return view_program_start(&v->program, out, err);
}

static int end_program(void *arg, struct job_output *out, struct err *err)
{
	struct view *v = arg;

	(void)out;
	return view_program_end(v->s->cgroups, v->s->views_fd, &v->program.id, err);
}

static void started(void *arg, struct job_result *result)
{
	struct view *v = arg;
	struct view_file file;

	v->s->view_jobs--;
	if (result->r < 0 || result->n_fds != 1) {
		log_warning(
			"lxcfs not started tenant=%s error=\"%s\"", tenant_of(v), result->err.msg);
		v->failures++;
		pause_before_start(v);
	} else {
		memcpy(&file, result->payload, sizeof(file));
		log_info("lxcfs started tenant=%s pid=%d", tenant_of(v), file.pid);
		run(v, &file, take_fd(&result->fds[0]), true);
		renew_all(v);
	}
	release_waiters(v);
	view_job_ended(v->s);
}

static void start(struct view *v)
{
	struct job_options options = {
		.fn = start_program,
		.done = started,
		.arg = v,
		.into_cgroup_fd = -1,
		.timeout_ms = VIEW_TIMEOUT_MS,
		.makes_in = &v->program.id,
	};
	struct err err;

	timer_stop(&v->timer);
	v->state = VIEW_STARTING;
	v->s->view_jobs++;
	if (job_start(v->s->jobs, &options, &err) < 0) {
		struct job_result result = {.r = -EIO, .err = err};

		started(v, &result);
	}
}

static void ended(void *arg, struct job_result *result)
{
	struct view *v = arg;
	struct supervisor *s = v->s;

	s->view_jobs--;
	if (result->r < 0)
		log_warning(
			"lxcfs not ended tenant=%s error=\"%s\"", tenant_of(v), result->err.msg);
	if (v->waiters || has_containers(v))
		start(v);
	else
		view_free(v);
	view_job_ended(s);
}

/* There is nobody left to show anything to; of one that has died its cgroup is left. */
static void end(struct view *v)
{
	struct job_options options = {
		.fn = end_program,
		.done = ended,
		.arg = v,
		.into_cgroup_fd = -1,
		.timeout_ms = VIEW_TIMEOUT_MS,
	};
	struct err err;

	timer_stop(&v->timer);
	if (v->s->shutting_down) {
		view_free(v);
		return;
	}
	v->state = VIEW_ENDING;
	v->s->view_jobs++;
	if (job_start(v->s->jobs, &options, &err) < 0) {
		struct job_result result = {.r = -EIO, .err = err};

		ended(v, &result);
	}
}

static void on_exit_of_lxcfs(struct watch *watch, uint32_t events)
{
	struct view *v = watch->arg;
	siginfo_t info;

	(void)events;
	if (v->is_child)
		waitid(P_PIDFD, (id_t)v->pidfd, &info, WEXITED | WNOHANG);
	v->is_child = false;
	watch_stop(&v->watch);
	close_fd(&v->pidfd);
	if (v->state != VIEW_UP)
		return; /* by the job that is under way */
	if (!has_containers(v)) {
		end(v);
		return;
	}
	v->failures = clock_boot_usec() - v->start_usec > STEADY_USEC ? 0 : v->failures + 1;
	log_warning("lxcfs ended tenant=%s pid=%d: another is started", tenant_of(v), v->file.pid);
	pause_before_start(v);
}

/* What waits for it in the containers goes on when it is dead. */
static void kill_mute(const struct view *v, const char *why)
{
	log_warning("lxcfs killed tenant=%s pid=%d error=\"%s\"", tenant_of(v), v->file.pid, why);
	pidfd_send_signal(v->pidfd, SIGKILL, NULL, 0);
}

struct question {
	struct supervisor *s;
	char tenant[NAME_SIZE];
	pid_t pid;
};

static int ask(void *arg, struct job_output *out, struct err *err)
{
	const struct question *question = arg;

	job_progress(out, "", 1);
	return view_program_ask(question->s->views_fd, question->tenant, err);
}

static void answered(void *arg, struct job_result *result)
{
	struct question *question = arg;
	struct supervisor *s = question->s;
	struct view *v = find(s, question->tenant);

	s->view_jobs--;
	if (v && v->file.pid == question->pid && v->state == VIEW_UP) {
		v->asked = false;
		if (result->r < 0)
			kill_mute(v, result->err.msg);
	}
	free(question);
	view_job_ended(s);
}

/* From now on it has to answer; until then it was the worker that waited. */
static void on_asked(void *arg, const void *data, size_t size)
{
	const struct question *question = arg;
	struct view *v = find(question->s, question->tenant);

	(void)data;
	(void)size;
	if (v && v->file.pid == question->pid)
		v->asked = true;
}

/* By a worker: who asks one that does not answer, waits, and cannot be killed until it dies. */
static void start_asking(struct view *v)
{
	struct job_options options = {
		.fn = ask, .done = answered, .progress = on_asked, .into_cgroup_fd = -1};
	struct question *question = calloc(1, sizeof(*question));

	if (!question)
		return;
	*question = (struct question){.s = v->s, .pid = v->file.pid};
	snprintf(question->tenant, sizeof(question->tenant), "%s", tenant_of(v));
	options.arg = question;
	v->s->view_jobs++;
	if (job_start(v->s->jobs, &options, NULL) < 0) {
		v->s->view_jobs--;
		free(question);
	}
}

static void look_later(struct view *v)
{
	unsigned n = 0;

	for (const struct view *other = v->s->views; other; other = other->next)
		n++;
	timer_start(v->s->reactor, &v->timer, LOOK_MS + n * LOOK_MORE_MS, on_timer, v);
}

static void look_at(struct view *v)
{
	v->idle = has_containers(v) ? 0 : v->idle + 1;
	if (v->idle == IDLE_LOOKS) {
		end(v);
		return;
	}
	if (v->asked)
		kill_mute(v, "it does not answer");
	else
		start_asking(v);
	look_later(v);
}

static void on_timer(struct timer *timer)
{
	struct view *v = timer->arg;

	if (v->state == VIEW_UP)
		look_at(v);
	else if (has_containers(v))
		start(v);
	else
		end(v);
}

static void wait_for(struct view *v, struct task *task)
{
	struct task **at = &v->waiters;

	while (*at)
		at = &(*at)->next;
	*at = task;
	task->next = NULL;
}

void view_start_task(struct supervisor *s, struct task *task)
{
	struct view *v = find(s, task->tenant);

	if (!v && view_kind_of(s) == VIEW_KIND_LXCFS) {
		v = view_new(s, task->tenant);
		if (v)
			start(v);
	}
	if (v && (v->state == VIEW_STARTING || v->state == VIEW_ENDING)) {
		wait_for(v, task);
		return;
	}
	task->u.spawn.view_pid = v && v->state == VIEW_UP ? v->file.pid : 0;
	task_start(task);
}

void view_check(struct supervisor *s, const struct container *c, pid_t given)
{
	const struct view *v = find(s, c->cgroup.tenant);

	if (v && v->state == VIEW_UP && v->file.pid != given)
		view_renew(s, c);
}

/*
 * The start and the end of the supervisor.
 */

static void adopt(struct supervisor *s, const char *tenant)
{
	struct view_file file;
	_cleanup_close_ int pidfd = view_program_find(s->views_fd, tenant, &file);
	struct view *v = pidfd < 0 ? NULL : view_new(s, tenant);

	if (!v)
		unlinkat(s->views_fd, tenant, 0);
	else if (run(v, &file, take_fd(&pidfd), false) == 0)
		log_info("lxcfs adopted tenant=%s pid=%d", tenant, file.pid);
}

void view_adopt(struct supervisor *s)
{
	int fd = openat(s->views_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (name_is_valid(entry->d_name))
			adopt(s, entry->d_name);
}

bool view_is_adopted(const struct supervisor *s, const char *tenant)
{
	return find(s, tenant) != NULL;
}

void view_adopted(struct supervisor *s)
{
	if (view_kind_of(s) != VIEW_KIND_LXCFS)
		return;
	for (const struct container *c = s->containers; c; c = c->next) {
		struct view *v;

		if (c->state != CONTAINER_RUNNING || find(s, c->cgroup.tenant))
			continue;
		v = view_new(s, c->cgroup.tenant);
		if (v)
			start(v);
	}
}

void view_job_ended(struct supervisor *s)
{
	struct task *task = s->view_last_task;

	if (s->view_jobs > 0 || !task)
		return;
	s->view_last_task = NULL;
	task_start(task);
}

void view_last_task(struct supervisor *s, struct task *task)
{
	s->view_last_task = task;
	view_job_ended(s);
}

int view_end(struct supervisor *s, const char *tenant, struct err *err)
{
	struct cgroup_id id = view_program_cgroup(tenant);

	return view_program_end(s->cgroups, s->views_fd, &id, err);
}

static int end_one(const struct cgroup_id *id, void *arg, struct err *err)
{
	struct supervisor *s = arg;

	return id->container[0] ? view_program_end(s->cgroups, s->views_fd, id, err)
				: cgroup_remove(s->cgroups, id, err);
}

int view_end_all(struct supervisor *s, struct err *err)
{
	return cgroup_for_each_view(s->cgroups, end_one, s, err);
}
