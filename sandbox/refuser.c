/*
 * See refuser.h. The loop keeps the state, hands listeners over, and watches for the end; starting
 * is done by a worker. Must never let a container's start wait or fail.
 */
#include "sandbox/refuser.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/refused_count.h"
#include "sandbox/refuser/refuser_wire.h"
#include "sandbox/refuser_program.h"
#include "sandbox/spawn.h"
#include "sandbox/view.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_MS 20000u
#define PAUSE_MS	 20u /* before it is started anew; doubled each time */
#define FAILURES_MAX	 6   /* in a row: then it is given up for a while */
#define GIVEN_UP_MS	 60000u
#define HAND_AGAIN_MS	 50u	   /* its socket was full */
#define STEADY_USEC	 60000000u /* what has lived for so long has not failed */

enum refuser_state { REFUSER_NONE, REFUSER_STARTING, REFUSER_UP, REFUSER_DOWN };

struct refuser {
	struct supervisor *s;
	enum refuser_state state;
	struct refuser_program program; /* of the job that runs */
	int socket_fd;
	int pidfd; /* of our child; an adopted one's end is that of its socket */
	pid_t pid;
	unsigned failures; /* in a row */
	uint64_t start_usec;
	struct watch watch;
	struct timer timer;
};

static void start(struct refuser *r);
static void on_timer(struct timer *timer);

int refuser_create(struct supervisor *s, struct err *err)
{
	struct refuser *r = calloc(1, sizeof(*r));

	if (!r)
		return err_oom(err);
	r->s = s;
	r->socket_fd = r->pidfd = -1;
	r->program = (struct refuser_program){
		.id = {.tenant = CGROUP_VIEWS, .container = CGROUP_REFUSER},
		.cgroups = s->cgroups,
		.dir_fd = s->refused_fd,
		.program_fd = s->refuser_fd,
	};
	s->refuser = r;
	return 0;
}

static void let_go(struct refuser *r)
{
	watch_stop(&r->watch);
	timer_stop(&r->timer);
	close_fd(&r->socket_fd);
	close_fd(&r->pidfd);
	r->pid = 0;
}

void refuser_destroy(struct supervisor *s)
{
	if (!s->refuser)
		return;
	let_go(s->refuser);
	free(s->refuser);
	s->refuser = NULL;
}

bool refuser_has_pid(const struct supervisor *s, pid_t pid)
{
	return s->refuser && s->refuser->pid == pid;
}

bool refuser_is_adopted(const struct supervisor *s)
{
	return s->refuser->state == REFUSER_UP;
}

static bool is_given_up(const struct refuser *r)
{
	return r->failures >= FAILURES_MAX;
}

bool refuser_is_wanted(const struct supervisor *s)
{
	return s->config.tells_refused && !is_given_up(s->refuser);
}

int refuser_open_count(int dir_fd, const char *tenant, const char *container)
{
	char name[SPAWN_FIFO_NAME_MAX];

	spawn_fifo_name(tenant, container, name);
	return openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

void refuser_remove_count(int dir_fd, const char *tenant, const char *container)
{
	char name[SPAWN_FIFO_NAME_MAX];

	spawn_fifo_name(tenant, container, name);
	unlinkat(dir_fd, name, 0);
}

/* A new file: what an earlier run's listener still writes to is not this one's. */
static int make_count(struct container *c)
{
	static const struct refused_count none;
	_cleanup_close_ int fd = -1;
	char name[SPAWN_FIFO_NAME_MAX];

	spawn_fifo_name(c->cgroup.tenant, c->cgroup.container, name);
	unlinkat(c->s->refused_fd, name, 0);
	fd = openat(c->s->refused_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	/* Written, so that there is room for it: croft-refuser has it mapped. */
	return fd < 0 ? -errno : fd_write_full(fd, &none, sizeof(none));
}

/* --- Handing over ----------------------------------------------------------------------------- */

static int hand(const struct refuser *r, const struct container *c)
{
	const struct refuser_message message = {.version = REFUSER_VERSION};
	_cleanup_close_ int count_fd = -1;
	int fds[REFUSER_FD_N] = {[REFUSER_FD_LISTENER] = c->listener_fd};
	char name[SPAWN_FIFO_NAME_MAX];

	spawn_fifo_name(c->cgroup.tenant, c->cgroup.container, name);
	count_fd = openat(r->s->refused_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (count_fd < 0)
		return -errno;
	fds[REFUSER_FD_COUNT] = count_fd;
	return fd_send(r->socket_fd, &message, sizeof(message), fds, REFUSER_FD_N);
}

/* Whether it is the end of either, which is noticed by itself; else it is tried again. */
static bool is_end(int result)
{
	return result == -ENOENT || result == -EPIPE || result == -ECONNRESET;
}

static void hand_all(struct refuser *r)
{
	for (struct container *c = r->s->containers; c; c = c->next) {
		int result;

		if (c->listener_fd < 0 || c->listener_handed)
			continue;
		result = hand(r, c);
		if (result < 0 && !is_end(result)) {
			timer_start(r->s->reactor, &r->timer, HAND_AGAIN_MS, on_timer, r);
			return;
		}
		c->listener_handed = result == 0;
	}
}

/* Nobody waits for an answer from then on. */
static void give_up(struct refuser *r)
{
	unsigned n = 0;

	for (struct container *c = r->s->containers; c; c = c->next) {
		n += c->listener_fd >= 0;
		close_fd(&c->listener_fd);
	}
	log_error(
		"refused calls are not told containers=%u error=\"croft-refuser does not run\"", n);
}

/* --- Its life --------------------------------------------------------------------------------- */

static void pause_before_start(struct refuser *r)
{
	unsigned ms = is_given_up(r) ? GIVEN_UP_MS : PAUSE_MS << r->failures;

	r->state = REFUSER_DOWN;
	if (r->failures == FAILURES_MAX)
		give_up(r);
	timer_start(r->s->reactor, &r->timer, ms, on_timer, r);
}

static void on_end(struct watch *watch, uint32_t events)
{
	struct refuser *r = watch->arg;
	siginfo_t info;

	(void)events;
	if (r->pidfd >= 0)
		waitid(P_PIDFD, (id_t)r->pidfd, &info, WEXITED | WNOHANG);
	let_go(r);
	for (struct container *c = r->s->containers; c; c = c->next)
		c->listener_handed = false;
	if (r->s->shutting_down) {
		r->state = REFUSER_NONE;
		return;
	}
	r->failures = clock_boot_usec() - r->start_usec > STEADY_USEC ? 0 : r->failures + 1;
	log_warning("croft-refuser ended: another is started");
	pause_before_start(r);
}

static void run(struct refuser *r, int socket_fd, int pidfd, pid_t pid)
{
	struct err err;

	r->socket_fd = socket_fd;
	r->pidfd = pidfd;
	r->pid = pid;
	r->start_usec = clock_boot_usec();
	r->state = REFUSER_UP;
	/* It never says a word: what is to be read is the end. */
	if (watch_start(r->s->reactor, &r->watch, pidfd >= 0 ? pidfd : socket_fd, EPOLLIN, on_end,
		    r, &err) < 0)
		log_error("croft-refuser not watched error=\"%s\"", err.msg);
	hand_all(r);
}

static void started(void *arg, struct job_result *result)
{
	struct refuser *r = arg;
	struct refuser_started told;

	r->s->view_jobs--;
	if (result->r < 0 || result->n_fds != REFUSER_STARTED_N) {
		log_warning("croft-refuser not started error=\"%s\"", result->err.msg);
		r->failures += !is_given_up(r);
		pause_before_start(r);
	} else {
		memcpy(&told, result->payload, sizeof(told));
		log_info("croft-refuser started pid=%d", told.pid);
		run(r, take_fd(&result->fds[REFUSER_STARTED_SOCKET]),
			take_fd(&result->fds[REFUSER_STARTED_PIDFD]), told.pid);
	}
	view_job_ended(r->s);
}

static int start_program(void *arg, struct job_output *out, struct err *err)
{
	struct refuser *r = arg;

	return refuser_program_start(&r->program, out, err);
}

static void list_fds(void *arg, struct fd_list *list)
{
	const struct refuser *r = arg;

	fd_list_add(list, r->program.dir_fd);
	fd_list_add(list, r->program.program_fd);
}

static void start(struct refuser *r)
{
	struct job_options options = {
		.fn = start_program,
		.done = started,
		.list_fds = list_fds,
		.arg = r,
		.into_cgroup_fd = -1,
		.timeout_ms = START_TIMEOUT_MS,
		.makes_in = &r->program.id,
	};
	struct err err;

	r->state = REFUSER_STARTING;
	r->s->view_jobs++;
	if (job_start(r->s->jobs, &options, &err) < 0) {
		struct job_result result = {.r = -EIO, .err = err};

		started(r, &result);
	}
}

/* Without anybody to answer for, the next start sees to it. */
static bool has_listeners(const struct refuser *r)
{
	for (const struct container *c = r->s->containers; c; c = c->next)
		if (c->listener_fd >= 0)
			return true;
	return false;
}

static void on_timer(struct timer *timer)
{
	struct refuser *r = timer->arg;

	if (r->state == REFUSER_UP) {
		hand_all(r);
		return;
	}
	r->state = REFUSER_NONE;
	if (r->s->shutting_down)
		return;
	/* After a while another try is worth it, with whatever is started until then. */
	if (is_given_up(r))
		r->failures = FAILURES_MAX - 1;
	if (has_listeners(r))
		start(r);
}

void refuser_take(struct container *c, int listener_fd)
{
	struct refuser *r = c->s->refuser;
	int result;

	if (listener_fd < 0)
		return;
	/* Its start began before that. */
	if (is_given_up(r)) {
		close(listener_fd);
		return;
	}
	result = make_count(c);
	if (result < 0) {
		log_error("refused calls are not told tenant=%s container=%s errno=%d",
			c->cgroup.tenant, c->cgroup.container, -result);
		close(listener_fd);
		return;
	}
	c->listener_fd = listener_fd;
	if (r->state == REFUSER_NONE)
		start(r);
	else if (r->state == REFUSER_UP)
		hand_all(r);
}

void refuser_adopt(struct supervisor *s)
{
	int fd = refuser_program_connect(s->refused_fd);

	if (fd < 0)
		return;
	log_info("croft-refuser adopted");
	run(s->refuser, fd, -1, 0);
}
