/*
 * The thaw of a tenant of which the last hold is gone: a thaw that fails is tried again, as nobody
 * else would. See hold.h. Must never thaw what is held again.
 */
#include "server/hold.h"

#include "base/log.h"
#include "server/link.h"
#include "server/upkeep.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* One that is on its way. */
struct thaw {
	struct server *server;
	struct tenant *tenant; /* a reference */
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tenant *t = arg;

	(void)fd;
	(void)what;
	if (t->thaw_due && !t->suspended && !t->gone)
		hold_thaw(t->hold_server, t, NULL, NULL);
}

/* The timer belongs to the tenant and ends with it, so it holds no reference. */
static void retry_later(struct server *server, struct tenant *t)
{
	struct timeval pause = {.tv_sec = upkeep_pause_seconds(t->thaw_tries++)};

	t->hold_server = server;
	if (!t->thaw_timer)
		t->thaw_timer = evtimer_new(server->base, on_timer, t);
	if (!t->thaw_timer || evtimer_add(t->thaw_timer, &pause) < 0)
		log_error("no-timer tenant=%s", t->name);
}

bool hold_thawed(struct server *server, struct tenant *t, const struct err *err)
{
	/* The next one's reconciliation thaws. */
	if (err && !strcmp(err->reason, "SUPERVISOR_GONE"))
		return false;
	/* What is not there yet begins thawed; what is held again is thawed after that hold. */
	t->thaw_due = err && strcmp(err->reason, "CGROUP_NOT_FOUND") != 0 && !t->suspended &&
		      !t->gone;
	if (t->thaw_due) {
		log_warning("tenant-not-thawed tenant=%s error=\"%s\"", t->name, err->msg);
		retry_later(server, t);
		return false;
	}
	t->thaw_tries = 0;
	if (t->thaw_timer)
		evtimer_del(t->thaw_timer);
	return true;
}

static void on_thawed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct thaw *thaw = arg;
	bool is_thawed = hold_thawed(thaw->server, thaw->tenant, err);

	(void)reply;
	link_close_fds(fds, n_fds);
	if (thaw->done)
		thaw->done(thaw->arg, is_thawed ? NULL : err);
	tenant_unref(thaw->tenant);
	free(thaw);
}

void hold_thaw(struct server *server, struct tenant *t,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct msg_freeze msg = {.frozen = false};
	struct thaw *thaw = malloc(sizeof(*thaw));
	struct err err;

	if (!thaw) {
		err_oom(&err);
		hold_thawed(server, t, &err);
		if (done)
			done(arg, &err);
		return;
	}
	*thaw = (struct thaw){server, tenant_ref(t), done, arg};
	memcpy(msg.tenant, t->name, sizeof(msg.tenant));
	if (link_send(server->link, MSG_TENANT_FREEZE, &msg, NULL, 0, on_thawed, thaw, &err) < 0)
		on_thawed(thaw, &err, NULL, NULL, 0);
}
