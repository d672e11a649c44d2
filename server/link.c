/*
 * Keeps croftd connected to its supervisor; see link.h. Must never start one: croftd has dropped
 * the right to.
 */
#include "server/link.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/reconcile.h"
#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_LAST_MS  2000
#define DEFERRED_MAX	  1024

/* A request that came before the reconciliation had ended: sent after it. */
struct deferred {
	STAILQ_ENTRY(deferred) entry;
	enum msg_op op;
	supervisor_reply_fn reply;
	void *arg;
	int fds[FD_PASS_MAX];
	size_t n_fds;
	_Alignas(max_align_t) uint8_t msg[];
};

struct link {
	struct server *server;
	int run_fd;
	struct supervisor_client *client;
	struct event *readable;
	struct event *writable;
	struct event *retry;
	bool ready;
	bool stopped;
	int back_off_ms;
	STAILQ_HEAD(, deferred) deferred;
	size_t n_deferred;
};

static void deferred_free(struct deferred *d)
{
	link_close_fds(d->fds, d->n_fds);
	free(d);
}

/* Sends what waited, or (err not NULL) answers it with that. */
static void take_deferred(struct link *link, const struct err *err)
{
	STAILQ_HEAD(, deferred) list = STAILQ_HEAD_INITIALIZER(list);
	struct deferred *d;
	struct err failure;

	STAILQ_CONCAT(&list, &link->deferred);
	link->n_deferred = 0;
	while ((d = STAILQ_FIRST(&list))) {
		STAILQ_REMOVE_HEAD(&list, entry);
		if (err)
			failure = *err;
		if ((err || link_send_early(link, d->op, d->msg, d->fds, d->n_fds, d->reply, d->arg,
				    &failure) < 0) &&
			d->reply)
			d->reply(d->arg, &failure, NULL, NULL, 0);
		deferred_free(d);
	}
}

static void lose(struct link *link, const struct err *why)
{
	struct supervisor_client *client = link->client;

	log_warning("supervisor-lost reason=%s", why->reason);
	event_free(link->readable);
	event_free(link->writable);
	link->readable = NULL;
	link->writable = NULL;
	/* Before its requests are answered: what they send next must find no connection. */
	link->client = NULL;
	link->ready = false;
	supervisor_client_close(client);
	take_deferred(link, why);
	reconcile_lost(link->server);
}

static void retry_later(struct link *link)
{
	struct timeval pause = {
		.tv_sec = link->back_off_ms / 1000, .tv_usec = link->back_off_ms % 1000 * 1000};

	if (link->stopped)
		return;
	evtimer_add(link->retry, &pause);
	link->back_off_ms *= 2;
	if (link->back_off_ms > BACK_OFF_LAST_MS)
		link->back_off_ms = BACK_OFF_LAST_MS;
}

static void after_io(struct link *link, int r, const struct err *err)
{
	if (r < 0) {
		lose(link, err);
		retry_later(link);
	} else if (supervisor_client_wants_write(link->client)) {
		event_add(link->writable, NULL);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	struct err err;
	int r = supervisor_client_dispatch(link->client, &err);

	(void)fd;
	(void)what;
	after_io(link, r, &err);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	struct err err;
	int r = supervisor_client_flush(link->client, &err);

	(void)fd;
	(void)what;
	after_io(link, r, &err);
}

static void on_event(void *arg, enum msg_op op, const void *msg, const int *fds, size_t n_fds)
{
	struct link *link = arg;

	reconcile_event(link->server, op, msg, fds, n_fds);
}

static int watch(struct link *link, struct err *err)
{
	int fd = supervisor_client_fd(link->client);

	link->readable = event_new(link->server->base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(link->server->base, fd, EV_WRITE, on_writable, link);
	if (!link->readable || !link->writable || event_add(link->readable, NULL) < 0)
		return err_oom(err);
	return 0;
}

static int try_connect(struct link *link, struct supervisor_client *made, struct err *err)
{
	static const struct supervisor_client_ops ops = {.event = on_event};
	int r = 0;

	link->client = made;
	if (made)
		supervisor_client_set_ops(made, &ops, link);
	else
		r = supervisor_client_connect(link->run_fd, &ops, link, &link->client, err);
	if (r < 0)
		return r;
	r = watch(link, err);
	if (r < 0) {
		supervisor_client_close(link->client);
		link->client = NULL;
		return r;
	}
	return 0;
}

void link_connect(struct link *link, struct supervisor_client *made)
{
	struct err err;

	if (link->client || link->stopped) {
		supervisor_client_close(made);
		return;
	}
	if (try_connect(link, made, &err) < 0) {
		log_debug("supervisor-unreachable error=\"%s\"", err.msg);
		retry_later(link);
		return;
	}
	link->back_off_ms = BACK_OFF_FIRST_MS;
	link->server->stats.supervisor_connects++;
	log_info("supervisor-connected cgroups=%s",
		link_cgroup_kind(link) == CGROUP_UNIFIED ? "unified" : "hybrid");
	reconcile_begin(link->server);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	link_connect(arg, NULL);
}

int link_create(struct server *server, int run_fd, struct link **ret, struct err *err)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return err_oom(err);
	link->server = server;
	link->run_fd = run_fd;
	link->back_off_ms = BACK_OFF_FIRST_MS;
	STAILQ_INIT(&link->deferred);
	link->retry = evtimer_new(server->base, on_retry, link);
	if (!link->retry) {
		free(link);
		return err_oom(err);
	}
	*ret = link;
	return 0;
}

void link_destroy(struct link *link)
{
	struct err err;

	if (!link)
		return;
	link->stopped = true;
	if (link->client) {
		err_set(&err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
		lose(link, &err);
	}
	event_free(link->retry);
	free(link);
}

void link_stop_reconnecting(struct link *link)
{
	link->stopped = true;
}

bool link_is_connected(const struct link *link)
{
	return link->client;
}

bool link_is_ready(const struct link *link)
{
	return link->client && link->ready;
}

void link_set_ready(struct link *link)
{
	link->ready = true;
	take_deferred(link, NULL);
}

enum cgroup_kind link_cgroup_kind(const struct link *link)
{
	return supervisor_client_cgroup_kind(link->client);
}

bool link_outcome_is_open(const struct err *err)
{
	static const char *const reasons[] = {
		"SUPERVISOR_GONE", "WORKER_DIED", "WORKER_TIMEOUT", "WORK_ENDED"};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (!strcmp(err->reason, reasons[i]))
			return true;
	return false;
}

/* croftd never starts one: it has dropped the right to. */
int link_gone(struct err *err)
{
	return err_set(err, ERR_UNAVAILABLE, "SUPERVISOR_GONE",
		"croft-supervisor is not running: containers run on, but nothing can be started, "
		"stopped or changed until the operator starts it again, as restarting croftd does");
}

int link_send_early(struct link *link, enum msg_op op, const void *msg, const int *fds,
	size_t n_fds, supervisor_reply_fn reply, void *arg, struct err *err)
{
	int r;

	if (!link->client)
		return link_gone(err);
	r = supervisor_client_send(link->client, op, msg, fds, n_fds, reply, arg, err);
	if (r == 0 && supervisor_client_wants_write(link->client))
		event_add(link->writable, NULL);
	return r;
}

static int defer(struct link *link, enum msg_op op, const void *msg, const int *fds, size_t n_fds,
	supervisor_reply_fn reply, void *arg, struct err *err)
{
	size_t size = protocol_size(op);
	struct deferred *d;

	if (link->n_deferred >= DEFERRED_MAX)
		return err_set(err, ERR_UNAVAILABLE, "RECONCILING",
			"croftd is taking stock with the supervisor; try again in a moment");
	d = calloc(1, sizeof(*d) + size);
	if (!d)
		return err_oom(err);
	d->op = op;
	d->reply = reply;
	d->arg = arg;
	memcpy(d->msg, msg, size);
	for (; d->n_fds < n_fds; d->n_fds++) {
		d->fds[d->n_fds] = fcntl(fds[d->n_fds], F_DUPFD_CLOEXEC, 3);
		if (d->fds[d->n_fds] < 0) {
			int r = err_sys(err, errno, "duplicate a descriptor");

			deferred_free(d);
			return r;
		}
	}
	STAILQ_INSERT_TAIL(&link->deferred, d, entry);
	link->n_deferred++;
	return 0;
}

int link_send(struct link *link, enum msg_op op, const void *msg, const int *fds, size_t n_fds,
	supervisor_reply_fn reply, void *arg, struct err *err)
{
	if (link->client && !link->ready)
		return defer(link, op, msg, fds, n_fds, reply, arg, err);
	return link_send_early(link, op, msg, fds, n_fds, reply, arg, err);
}

void link_close_fds(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
}
