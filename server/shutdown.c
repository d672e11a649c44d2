/* The two ways to end; see shutdown.h. Each is bounded in time. */
#include "server/shutdown.h"

#include "base/log.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* A stop by SIGTERM is to take two seconds at most; the commit and checkpoint come after this. */
#define DRAIN_MS	   1200
#define HOST_STOP_GRACE_MS 10000
#define HOST_LIMIT_MS	   60000
/*
 * For what the supervisor still has in hand when the runs have ended, such as a look at a disk.
 * Imports and the like may end by themselves within HOST_WORK_TRIES, then they are ended.
 */
#define HOST_BUSY_PAUSE_MS 100
#define HOST_BUSY_TRIES	   300
#define HOST_WORK_TRIES	   (HOST_STOP_GRACE_MS / HOST_BUSY_PAUSE_MS)

static void leave(struct server *server)
{
	event_base_loopbreak(server->base);
}

static void on_drained(void *arg)
{
	leave(arg);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	leave(arg);
}

static void after(struct server *server, int ms, event_callback_fn fn, void *arg)
{
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	if (event_base_once(server->base, -1, EV_TIMEOUT, fn, arg, &pause) < 0)
		leave(server);
}

void shutdown_service(struct server *server)
{
	if (server->ending)
		return;
	server->ending = true;
	server->shutting_down = true;
	log_info("stopping");
	grpc_server_set_healthy(server->grpc, false);
	after(server, DRAIN_MS, on_drain_timer, server);
	grpc_server_drain(server->grpc, on_drained, server);
}

/* --- the host --- */

struct host_stop {
	struct server *server;
	void (*done)(void *arg, const struct err *err);
	void *arg;
	size_t waiting; /* for runs to end */
	unsigned tries; /* how often the supervisor was asked to end */
	bool ended;
};

static void ask(struct host_stop *stop);

static void finish(struct host_stop *stop, const struct err *err)
{
	struct server *server = stop->server;

	if (stop->ended)
		return;
	stop->ended = true;
	if (err)
		log_error("host-shutdown-incomplete error=\"%s\"", err->msg);
	stop->done(stop->arg, err);
	shutdown_service(server);
}

static void on_pause(evutil_socket_t fd, short what, void *arg)
{
	struct host_stop *stop = arg;

	(void)fd;
	(void)what;
	if (!stop->ended)
		ask(stop);
}

static void on_supervisor_ended(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct host_stop *stop = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err && !strcmp(err->reason, "HOST_BUSY") && stop->tries < HOST_BUSY_TRIES)
		after(stop->server, HOST_BUSY_PAUSE_MS, on_pause, stop);
	else
		finish(stop, err);
}

static void ask(struct host_stop *stop)
{
	static const struct msg_tenant everybody;
	static const struct msg_empty empty;
	struct err err;

	/* Again and again: more may come until croftd has gone. */
	if (stop->tries++ >= HOST_WORK_TRIES)
		link_send(stop->server->link, MSG_WORK_END, &everybody, NULL, 0, NULL, NULL, &err);
	if (link_send(stop->server->link, MSG_SHUTDOWN, &empty, NULL, 0, on_supervisor_ended, stop,
		    &err) < 0)
		finish(stop, &err);
}

static void on_run_ended(void *arg, const struct err *err)
{
	struct host_stop *stop = arg;

	(void)err;
	if (--stop->waiting || stop->ended)
		return;
	link_stop_reconnecting(stop->server->link);
	ask(stop);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct host_stop *stop = arg;
	struct err err;

	(void)fd;
	(void)what;
	if (stop->ended)
		return;
	err_set(&err, ERR_DEADLINE_EXCEEDED, "SHUTDOWN_TIMEOUT",
		"some containers did not end in time; croftd ends without them");
	finish(stop, &err);
}

/* What has autostart starts with the next croftd, be it in this boot of the host or another. */
static void forget_autostart(struct server *server, const struct actor *asker)
{
	struct db_tx *tx = db_tx_new_essential();

	db_tx_set_actor(tx, asker);
	events_add_host(tx, "host.shutdown", "{}", "all containers and both daemons are stopped");
	store_setting(tx, STORE_AUTOSTART_BOOT, "");
	db_commit(server->db, tx, NULL, NULL);
}

int shutdown_host(struct server *server, const struct actor *asker,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct container *c = NULL;
	struct container *next;
	struct host_stop *stop;

	if (server->shutting_down)
		return err_set(err, ERR_FAILED_PRECONDITION, "SHUTTING_DOWN",
			"croftd is shutting down already");
	if (!link_is_connected(server->link))
		return link_gone(err);
	stop = calloc(1, sizeof(*stop));
	if (!stop)
		return err_oom(err);
	server->host_stop = stop;
	stop->server = server;
	stop->done = done;
	stop->arg = arg;
	server->shutting_down = true;
	log_info("host-shutdown");
	forget_autostart(server, asker);
	/* One more than there are containers, so that it cannot end inside this loop. */
	stop->waiting = 1;
	for (c = model_next_container(&server->model, NULL); c; c = next) {
		next = model_next_container(&server->model, c);
		if (container_state_is_live(c->state) &&
			stop_container(server, c, HOST_STOP_GRACE_MS, on_run_ended, stop, err) ==
				0) {
			c->stopper = *asker;
			stop->waiting++;
		}
	}
	after(server, HOST_LIMIT_MS, on_limit, stop);
	on_run_ended(stop, NULL);
	return 0;
}

void shutdown_finish(struct server *server)
{
	free(server->host_stop);
	server->host_stop = NULL;
}
