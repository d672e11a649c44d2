/*
 * Containers with a run; see container.h for the states. What ends a run is the exit of its init,
 * seen through its pidfd, whatever else happens to the cgroup.
 */
#include "sandbox/container.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "sandbox/disk_use.h"
#include "sandbox/fork_count.h"
#include "sandbox/refuser.h"
#include "sandbox/syscalls.h"
#include "sandbox/teardown.h"

#include <string.h>
#include <sys/wait.h>

/* A limit that is hit again and again is told of at most once in so long. */
#define LIMIT_EVENT_PAUSE_MS 1000
/* An OOM on v1: how soon and how often its kill is looked for. */
#define OOM_LOOK_MS	  20
#define OOM_LOOKS	  50
#define TEARDOWN_RETRY_MS 5000

static const bool moves[CONTAINER_STATE_N][CONTAINER_STATE_N] = {
	[CONTAINER_NONE] = {[CONTAINER_STARTING] = true,
		[CONTAINER_RUNNING] = true,
		[CONTAINER_STOPPING] = true,
		[CONTAINER_MAKING] = true,
		[CONTAINER_REMOVING] = true},
	[CONTAINER_STARTING] = {[CONTAINER_RUNNING] = true, [CONTAINER_NONE] = true},
	[CONTAINER_RUNNING] = {[CONTAINER_STOPPING] = true},
	[CONTAINER_STOPPING] = {[CONTAINER_ENDED] = true},
	[CONTAINER_ENDED] = {[CONTAINER_NONE] = true},
	[CONTAINER_MAKING] = {[CONTAINER_NONE] = true},
	[CONTAINER_REMOVING] = {[CONTAINER_NONE] = true},
};

bool container_may_move(enum container_state from, enum container_state to)
{
	return moves[from][to];
}

bool container_move(struct container *c, enum container_state to)
{
	if (!moves[c->state][to]) {
		log_error("state refused tenant=%s container=%s from=%d to=%d", c->cgroup.tenant,
			c->cgroup.container, c->state, to);
		return false;
	}
	c->state = to;
	return true;
}

struct container *container_find(struct supervisor *s, const char *tenant, const char *container)
{
	for (struct container *c = s->containers; c; c = c->next)
		if (!strcmp(c->cgroup.container, container) && !strcmp(c->cgroup.tenant, tenant))
			return c;
	return NULL;
}

struct container *container_find_running(
	struct supervisor *s, const char *tenant, const char *container, struct err *err)
{
	struct container *c = container_find(s, tenant, container);

	if (c && c->state == CONTAINER_RUNNING)
		return c;
	err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING",
		"container %s is not running: start it first", container);
	return NULL;
}

bool container_is_changing(const struct container *c)
{
	return c->state == CONTAINER_MAKING || c->state == CONTAINER_REMOVING;
}

int container_check_idle(
	struct supervisor *s, const char *tenant, const char *container, struct err *err)
{
	const struct container *c = container_find(s, tenant, container);

	if (!c)
		return disk_use_check(s, tenant, container, err);
	if (!container_is_changing(c))
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_RUNNING",
			"container %s is running, or its last run is just ending: stop it first",
			container);
	return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_BUSY",
		"container %s is just being %s: try again", container,
		c->state == CONTAINER_MAKING ? "made" : "deleted");
}

bool container_has_init(const struct supervisor *s, pid_t pid)
{
	for (const struct container *c = s->containers; c; c = c->next)
		if (c->is_child && c->file.pid == pid)
			return true;
	return false;
}

struct container *container_new(struct supervisor *s, const char *tenant, const char *container)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->s = s;
	snprintf(c->cgroup.tenant, sizeof(c->cgroup.tenant), "%s", tenant);
	snprintf(c->cgroup.container, sizeof(c->cgroup.container), "%s", container);
	c->pidfd = c->stdout_fd = c->console_fd = -1;
	c->listener_fd = -1;
	c->cgroup_watch.oom_fd = -1;
	c->next = s->containers;
	s->containers = c;
	return c;
}

static void stop_limit_watches(struct container *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->limit_watch); i++)
		watch_stop(&c->limit_watch[i]);
}

static void stop_watching(struct container *c)
{
	if (c->fork_id)
		fork_count_remove(c->s->forks, c->fork_id);
	c->fork_id = 0;
	watch_stop(&c->pid_watch);
	watch_stop(&c->oom_watch);
	stop_limit_watches(c);
	timer_stop(&c->limit_timer);
	timer_stop(&c->oom_timer);
	timer_stop(&c->retry_timer);
	cgroup_watch_close(&c->cgroup_watch);
	close_fd(&c->pidfd);
	close_fd(&c->stdout_fd);
	close_fd(&c->console_fd);
	close_fd(&c->listener_fd);
}

void container_forget(struct container *c)
{
	for (struct container **at = &c->s->containers; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	stop_watching(c);
	free(c);
}

struct exit_info container_exit_info(int wait_code, int wait_status)
{
	struct exit_info info = {0};

	if (wait_code == CLD_EXITED) {
		info.kind = EXIT_KIND_EXITED;
		info.status = wait_status;
	} else {
		info.kind = EXIT_KIND_SIGNALLED;
		info.signal = wait_status;
	}
	return info;
}

static struct exit_info from_wait_status(int status)
{
	if (WIFEXITED(status))
		return container_exit_info(CLD_EXITED, WEXITSTATUS(status));
	return container_exit_info(CLD_KILLED, WTERMSIG(status));
}

static bool pidfd_tells(const struct container *c, struct exit_info *ret)
{
	struct pidfd_exit told;

	if (sys_pidfd_exit(c->pidfd, &told) < 0 || !told.known)
		return false;
	*ret = from_wait_status(told.wait_status);
	return true;
}

/*
 * Of an adopted init /proc tells while it is a zombie, which may be for any time: it is not ours to
 * reap. From then on newer kernels tell through its pidfd. It may be reaped just while we look.
 */
static struct exit_info adopted_exit(const struct container *c)
{
	struct exit_info exit = {.kind = EXIT_KIND_UNKNOWN};
	int status;

	if (pidfd_tells(c, &exit))
		return exit;
	if (run_file_pid_exit(c->file.pid, c->file.pid_start_ticks, &status) == 0)
		return from_wait_status(status);
	pidfd_tells(c, &exit);
	return exit;
}

/* A pidfd is readable when all threads are dead, so an adopted init has ended in any case. */
static void on_init_exit(struct watch *watch, uint32_t events)
{
	struct container *c = watch->arg;
	siginfo_t info = {0};
	struct exit_info exit;

	(void)events;
	if (c->is_child) {
		if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
			return;
		c->is_child = false;
		exit = container_exit_info(info.si_code, info.si_status);
	} else {
		exit = adopted_exit(c);
	}
	container_end(c, &exit);
}

static int read_counters(struct container *c, struct counters *ret)
{
	enum cgroup_kind kind = cgroup_root_kind(c->s->cgroups);
	struct counter_files *files = NULL;
	int dirs[COUNTER_DIR_N];
	int r = cgroup_open_dirs(c->s->cgroups, &c->cgroup, dirs, NULL);

	if (r < 0)
		return r;
	r = counter_files_open(kind, COUNTERS_OF_CONTAINER, dirs, &c->file.disk, &files, NULL);
	if (r == 0)
		r = counters_read(files, ret, NULL);
	counter_files_close(files);
	for (size_t i = 0; i < counters_n_dirs(kind); i++)
		close(dirs[i]);
	return r;
}

/* Tells croftd; and where the container asked for it, one OOM kill takes all of it. */
static void report_limits(struct container *c)
{
	struct msg_limit_hit msg = {0};

	cgroup_watch_drain(&c->cgroup_watch);
	if (read_counters(c, &msg.counters) < 0)
		return;
	if (msg.counters.oom_kills > c->oom_kills && c->file.oom_group)
		cgroup_kill(c->s->cgroups, &c->cgroup, NULL);
	c->oom_kills = msg.counters.oom_kills;
	memcpy(msg.tenant, c->file.tenant, sizeof(msg.tenant));
	memcpy(msg.container, c->file.container, sizeof(msg.container));
	memcpy(msg.run_id, c->file.run_id, sizeof(msg.run_id));
	peer_event(c->s->peer, MSG_EVENT_LIMIT_HIT, &msg, NULL, 0);
}

static void on_oom_look(struct timer *timer);

/* The kernel tells of an OOM before it kills, so the kill is looked for until it is counted. */
static void look_for_oom_kill(struct container *c)
{
	struct counters counters;

	if (read_counters(c, &counters) < 0)
		return;
	if (counters.oom_kills > c->oom_kills)
		report_limits(c);
	else if (c->oom_looks-- > 0)
		timer_start(c->s->reactor, &c->oom_timer, OOM_LOOK_MS, on_oom_look, c);
}

static void on_oom_look(struct timer *timer)
{
	look_for_oom_kill(timer->arg);
}

static void on_oom(struct watch *watch, uint32_t events)
{
	struct container *c = watch->arg;

	(void)events;
	cgroup_watch_drain(&c->cgroup_watch);
	c->oom_looks = OOM_LOOKS;
	look_for_oom_kill(c);
}

static void on_limit(struct watch *watch, uint32_t events);

static int start_limit_watches(struct container *c, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < c->cgroup_watch.n_files && r == 0; i++)
		r = watch_start(c->s->reactor, &c->limit_watch[i], c->cgroup_watch.file_fds[i],
			EPOLLPRI, on_limit, c, err);
	return r;
}

static void on_limit_pause_over(struct timer *timer)
{
	struct container *c = timer->arg;
	struct err err;

	report_limits(c);
	if (start_limit_watches(c, &err) < 0)
		log_warning("limits not watched tenant=%s container=%s error=\"%s\"",
			c->file.tenant, c->file.container, err.msg);
}

static void on_limit(struct watch *watch, uint32_t events)
{
	struct container *c = watch->arg;

	(void)events;
	report_limits(c);
	stop_limit_watches(c);
	timer_start(c->s->reactor, &c->limit_timer, LIMIT_EVENT_PAUSE_MS, on_limit_pause_over, c);
}

static int watch_limits(struct container *c, struct err *err)
{
	struct counters counters;
	int r = cgroup_watch_open(c->s->cgroups, &c->cgroup, &c->cgroup_watch, err);

	if (r == 0 && c->cgroup_watch.oom_fd >= 0)
		r = watch_start(c->s->reactor, &c->oom_watch, c->cgroup_watch.oom_fd, EPOLLIN,
			on_oom, c, err);
	if (r == 0)
		r = start_limit_watches(c, err);
	if (r == 0 && read_counters(c, &counters) == 0)
		c->oom_kills = counters.oom_kills;
	return r;
}

static void count_forks(struct container *c)
{
	uint64_t id;
	int r = cgroup_inode(c->s->cgroups, &c->cgroup, &id);

	if (r == 0)
		r = fork_count_add(c->s->forks, id);
	if (r == 0)
		c->fork_id = id;
	else
		log_warning("forks-not-counted tenant=%s container=%s error=%d", c->file.tenant,
			c->file.container, -r);
}

int container_run(struct container *c, const struct run_file *file, int pidfd, bool is_child,
	int stdout_fd, int console_fd, struct err *err)
{
	c->file = *file;
	c->pidfd = pidfd;
	c->is_child = is_child;
	c->stdout_fd = stdout_fd;
	c->console_fd = console_fd;
	container_move(c, CONTAINER_RUNNING);
	count_forks(c);
	/* A container whose limits cannot be watched is still held by them. */
	if (watch_limits(c, err) < 0)
		log_warning("limits not watched tenant=%s container=%s error=\"%s\"", file->tenant,
			file->container, err->msg);
	return watch_start(c->s->reactor, &c->pid_watch, c->pidfd, EPOLLIN, on_init_exit, c, err);
}

static void send_ended(struct container *c)
{
	peer_event(c->s->peer, MSG_EVENT_RUN_ENDED, &c->file.final, NULL, 0);
}

static void start_teardown(struct container *c);

static void on_retry(struct timer *timer)
{
	start_teardown(timer->arg);
}

static void retry_later(struct container *c, const char *why)
{
	log_error("teardown failed tenant=%s container=%s error=\"%s\"", c->cgroup.tenant,
		c->cgroup.container, why);
	timer_start(c->s->reactor, &c->retry_timer, TEARDOWN_RETRY_MS, on_retry, c);
}

struct ending {
	struct container *c;
	struct teardown_request request;
};

static int tear_down(void *arg, struct job_output *out, struct err *err)
{
	struct ending *ending = arg;

	return teardown_run(&ending->request, out, err);
}

static void torn_down(void *arg, struct job_result *result)
{
	struct ending *ending = arg;
	struct container *c = ending->c;

	free(ending);
	if (result->r < 0) {
		/* Its processes would not die: the id range and cgroup stay taken until they do. */
		retry_later(c, result->err.msg);
		return;
	}
	memcpy(&c->file, result->payload, sizeof(c->file));
	container_move(c, CONTAINER_ENDED);
	log_info("run ended tenant=%s container=%s run=%s exit=%u status=%d signal=%d",
		c->file.tenant, c->file.container, c->file.run_id, c->file.final.exit.kind,
		c->file.final.exit.status, c->file.final.exit.signal);
	send_ended(c);
}

static void start_teardown(struct container *c)
{
	struct ending *ending = calloc(1, sizeof(*ending));
	struct job_options options = {
		.fn = tear_down,
		.done = torn_down,
		.into_cgroup_fd = -1,
	};
	struct job_result failed = {.r = -ENOMEM};

	if (!ending) {
		retry_later(c, "out of memory");
		return;
	}
	ending->c = c;
	ending->request = (struct teardown_request){
		.file = c->file,
		.exit = c->exit,
		.end_boot_usec = c->end_boot_usec,
		.end_wall_usec = c->end_wall_usec,
		.runs_fd = c->s->runs_fd,
		.fifos_fd = c->s->fifos_fd,
		.refused_fd = c->s->refused_fd,
		.names_fd = c->s->names_fd,
		.cgroups = c->s->cgroups,
		.ids = c->s->ids,
		.net_plan = &c->s->net_plan,
	};
	options.arg = ending;
	failed.r = job_start(c->s->jobs, &options, &failed.err);
	if (failed.r < 0)
		torn_down(ending, &failed);
}

void container_end(struct container *c, const struct exit_info *exit)
{
	stop_watching(c);
	if (!container_move(c, CONTAINER_STOPPING))
		return;
	c->exit = *exit;
	c->end_boot_usec = clock_boot_usec();
	c->end_wall_usec = clock_wall_usec();
	start_teardown(c);
}

void container_resume_end(struct container *c, const struct run_file *file)
{
	struct exit_info unknown = {.kind = EXIT_KIND_UNKNOWN};

	c->file = *file;
	container_end(c, &unknown);
}

int container_kill(struct container *c, struct err *err)
{
	return cgroup_kill(c->s->cgroups, &c->cgroup, err);
}

void container_started_msg(const struct container *c, struct msg_started *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->run_id, c->file.run_id, sizeof(ret->run_id));
	ret->pid = c->file.pid;
	ret->id_base = c->file.id_base;
	ret->start_boot_usec = c->file.start_boot_usec;
	ret->start_wall_usec = c->file.start_wall_usec;
	ret->net_base = c->file.net_account.base;
	ret->disk = c->file.disk;
}

int container_collect_fds(struct container *c, int ret_fds[static CONTAINER_FDS_MAX],
	size_t *ret_n_fds, size_t *ret_n_owned, struct msg_started *started, struct err *err)
{
	size_t n = counters_n_dirs(cgroup_root_kind(c->s->cgroups));
	int r = cgroup_open_dirs(c->s->cgroups, &c->cgroup, ret_fds, err);

	if (r < 0)
		return r;
	ret_fds[n] = refuser_open_count(c->s->refused_fd, c->cgroup.tenant, c->cgroup.container);
	started->tells = ret_fds[n] >= 0;
	n += started->tells;
	*ret_n_owned = n;
	if (c->stdout_fd >= 0)
		ret_fds[n++] = c->stdout_fd;
	if (c->stdout_fd >= 0 && c->console_fd >= 0)
		ret_fds[n++] = c->console_fd;
	*ret_n_fds = n;
	return 0;
}
