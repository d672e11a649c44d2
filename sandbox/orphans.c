/*
 * Killing and reaping what is nobody's; see orphans.h. A child that is unknown may also be
 * one that a living worker has just cloned and not yet told of, so a suspect is only taken for an
 * orphan when every worker that could know it has finished.
 */
#include "sandbox/orphans.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/exec_session.h"
#include "sandbox/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define LOOK_AGAIN_MS 200

static void on_timer(struct timer *timer);

void orphans_init(struct orphans *o, struct supervisor *s)
{
	memset(o, 0, sizeof(*o));
	o->s = s;
}

void orphans_finish(struct orphans *o)
{
	timer_stop(&o->timer);
}

static bool is_known(const struct orphans *o, pid_t pid)
{
	return jobs_have_pid(o->s->jobs, pid) || container_has_init(o->s, pid) ||
	       exec_session_has_pid(o->s, pid);
}

/* proc(5): the children of a single-threaded process are those of its only task. */
static FILE *open_children(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	return fopen(path, "re");
}

static void collect_suspects(struct orphans *o)
{
	_cleanup_fclose_ FILE *children = open_children();
	int pid;

	o->n = 0;
	o->mark = jobs_mark(o->s->jobs);
	while (children && o->n < ORPHANS_MAX && fscanf(children, "%d", &pid) == 1)
		if (!is_known(o, pid))
			o->suspects[o->n++] = pid;
}

/* A suspect cannot be another process by now: only we reap, and we have not. */
static void end_suspects(struct orphans *o)
{
	unsigned reaped = 0;

	for (size_t i = 0; i < o->n; i++) {
		pid_t pid = o->suspects[i];

		if (is_known(o, pid))
			continue;
		kill(pid, SIGKILL);
		reaped += waitpid(pid, NULL, WNOHANG) == pid;
	}
	if (reaped)
		log_warning("orphans reaped n=%u", reaped);
}

static void look(struct orphans *o)
{
	if (o->n && jobs_passed(o->s->jobs, o->mark))
		end_suspects(o);
	if (!o->n || jobs_passed(o->s->jobs, o->mark))
		collect_suspects(o);
	if (o->n)
		timer_start(o->s->reactor, &o->timer, LOOK_AGAIN_MS, on_timer, o);
}

static void on_timer(struct timer *timer)
{
	look(timer->arg);
}

void orphans_look(struct orphans *o)
{
	if (!o->timer.reactor)
		timer_start(o->s->reactor, &o->timer, 0, on_timer, o);
}

void orphans_notice(struct orphans *o)
{
	if (!o->timer.reactor)
		timer_start(o->s->reactor, &o->timer, LOOK_AGAIN_MS, on_timer, o);
}
