/*
 * Killing and reaping what is nobody's; see orphans.h. A child that is unknown may also be one that
 * a living worker has just made and not yet told of. Only a start or an exec makes such, and only
 * in its own container: so no child there is taken for an orphan while one is at work in it.
 */
#include "sandbox/orphans.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/exec_session.h"
#include "sandbox/refuser.h"
#include "sandbox/supervisor.h"
#include "sandbox/view.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define LOOK_AGAIN_MS 200
#define CGROUPS_MAX   (16 * 1024) /* two paths that a tenant may make as long as the kernel shows */

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
	       exec_session_has_pid(o->s, pid) || view_has_pid(o->s, pid) ||
	       refuser_has_pid(o->s, pid);
}

bool orphans_is_in(const char *text, const struct cgroup_id *id)
{
	char dir[2 * NAME_SIZE + sizeof("///payload")];
	size_t len;

	if (!text)
		return true;
	/* The cgroup2 line, which also a zombie has; what comes before it is none of ours. */
	while (strncmp(text, "0::", 3) != 0) {
		text = strchr(text, '\n');
		if (!text++)
			return true;
	}
	len = (size_t)snprintf(dir, sizeof(dir), "/%s/%s/payload", id->tenant, id->container);
	for (text = strstr(text, dir); text; text = strstr(text + 1, dir))
		if (!text[len] || strchr("/ \n", text[len]))
			return true;
	return false;
}

static bool is_made_in(const struct cgroup_id *id, void *arg)
{
	return orphans_is_in(arg, id);
}

static bool may_be_told_of(const struct orphans *o, pid_t pid)
{
	char text[CGROUPS_MAX];
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	n = fd_read_text_at(AT_FDCWD, path, text, sizeof(text));
	return jobs_any_makes_in(o->s->jobs, is_made_in, n < 0 ? NULL : text);
}

/* proc(5): the children of a single-threaded process are those of its only task. */
static FILE *open_children(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	return fopen(path, "re");
}

struct round {
	size_t unknown;
	size_t looked_at;
	size_t reaped;
};

/* It cannot be another process by now: only we reap, and we have not. */
static void look_at(const struct orphans *o, pid_t pid, struct round *round)
{
	round->looked_at++;
	if (may_be_told_of(o, pid))
		return;
	kill(pid, SIGKILL);
	round->reaped += waitpid(pid, NULL, WNOHANG) == pid;
}

static void look(struct orphans *o)
{
	_cleanup_fclose_ FILE *children = open_children();
	struct round round = {0};
	bool more = false;
	int pid;

	while (children && !more && fscanf(children, "%d", &pid) == 1) {
		if (is_known(o, pid) || round.unknown++ < o->skip)
			continue;
		if (round.looked_at == ORPHANS_MAX)
			more = true;
		else
			look_at(o, pid, &round);
	}
	if (round.reaped)
		log_warning("orphans reaped n=%zu", round.reaped);
	/* Those that stay must not keep the rest from being looked at. */
	o->skip = more ? o->skip + round.looked_at - round.reaped : 0;
	if (round.unknown > round.reaped)
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
