/*
 * Stopping: the stop signal, a timer, then the kill of everything in the cgroup; see lifecycle.h.
 * A stop goes on when the client that asked for it has left.
 */
#include "server/lifecycle.h"

#include "base/log.h"
#include "server/link.h"
#include "server/store.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define KILL_RETRY_MS 1000

static void fill_names(
	const struct container *c, char tenant[static NAME_SIZE], char container[static NAME_SIZE])
{
	memcpy(tenant, c->tenant->name, NAME_SIZE);
	memcpy(container, c->name, NAME_SIZE);
}

/* The timer belongs to the container and ends with it, so it holds no reference. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct container *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CONTAINER_STOPPING)
		stop_kill(c->stop_server, c);
}

static void arm_timer(struct server *server, struct container *c, uint32_t ms)
{
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	c->stop_server = server;
	if (!c->stop_timer)
		c->stop_timer = evtimer_new(server->base, on_timer, c);
	if (!c->stop_timer || evtimer_add(c->stop_timer, &pause) < 0)
		log_error("no-timer tenant=%s container=%s", c->tenant->name, c->name);
}

static void on_killed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct container *c = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	/* NOT_FOUND and the like: it has ended by itself, and its end is on its way. */
	if (err && c->state == CONTAINER_STOPPING && !c->gone) {
		log_warning("kill-failed tenant=%s container=%s error=\"%s\"", c->tenant->name,
			c->name, err->msg);
		arm_timer(c->stop_server, c, KILL_RETRY_MS);
	}
	container_unref(c);
}

void stop_kill(struct server *server, struct container *c)
{
	struct msg_container msg = {0};
	struct err err;

	c->killed = true;
	c->state = CONTAINER_STOPPING;
	c->stop_server = server;
	fill_names(c, msg.tenant, msg.container);
	container_ref(c);
	if (link_send(server->link, MSG_CONTAINER_KILL, &msg, NULL, 0, on_killed, c, &err) == 0)
		return;
	container_unref(c);
	arm_timer(server, c, KILL_RETRY_MS);
}

static int stop_signal(struct server *server, const struct container *c)
{
	const struct image *image = container_base(&server->model, c, c->image);

	/* The image's signal is for the image's init. */
	if (c->init_args || !image || !image->stop_signal)
		return SIGTERM;
	return (int)image->stop_signal;
}

/* Asks init to end; SIGKILL follows after the timeout. */
static int ask(struct server *server, struct container *c, uint32_t timeout_ms, struct err *err)
{
	struct msg_signal msg = {.signal = stop_signal(server, c)};
	struct msg_freeze thaw = {0};
	int r = 0;

	fill_names(c, msg.tenant, msg.container);
	fill_names(c, thaw.tenant, thaw.container);
	/* A frozen init would not see the signal. */
	if (c->state == CONTAINER_FROZEN || c->state == CONTAINER_FREEZING)
		r = link_send(server->link, MSG_CONTAINER_FREEZE, &thaw, NULL, 0, NULL, NULL, err);
	if (r == 0)
		r = link_send(server->link, MSG_CONTAINER_SIGNAL, &msg, NULL, 0, NULL, NULL, err);
	if (r < 0)
		return r;
	c->stop_asked = true;
	c->state = CONTAINER_STOPPING;
	arm_timer(server, c, timeout_ms);
	return 0;
}

int stop_container(struct server *server, struct container *c, uint32_t timeout_ms,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct waiter *last;
	int r;

	if (!container_state_is_live(c->state))
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING",
			"%s/%s is %s, not running", c->tenant->name, c->name,
			container_state_name(c->state));
	if (!link_is_connected(server->link))
		return link_gone(err);
	r = waiters_add(&c->end_waiters, done, arg, err);
	if (r < 0)
		return r;
	if (c->state == CONTAINER_STARTING) {
		c->kill_wanted = true;
	} else if (c->state == CONTAINER_STOPPING) {
		if (!timeout_ms)
			stop_kill(server, c);
	} else if (!timeout_ms || c->tenant->suspended) {
		/* Under a suspended tenant nothing runs that could answer a signal. */
		stop_kill(server, c);
	} else {
		r = ask(server, c, timeout_ms, err);
	}
	if (r < 0) {
		last = TAILQ_LAST(&c->end_waiters, waiter_list);
		TAILQ_REMOVE(&c->end_waiters, last, entry);
		free(last);
	}
	return r;
}

void stop_record(struct server *server, struct container *c, uint32_t timeout_ms)
{
	struct db_tx *tx = db_tx_new_essential();
	struct run *run = &c->run;
	uint64_t kill = clock_boot_usec();

	/* One that is starting is killed as soon as it has started. */
	if (c->state != CONTAINER_STARTING)
		kill += timeout_ms * UINT64_C(1000);
	if (!run->kill_boot_usec || kill < run->kill_boot_usec) {
		run->kill_boot_usec = kill;
		/* Who asks again with less patience need not wait as long as who asked first. */
		if (c->state == CONTAINER_STOPPING && timeout_ms && !c->end_pending)
			arm_timer(server, c, timeout_ms);
	}
	store_run_kill(tx, run);
	/* A launch whose commit fails must leave no row. */
	if (c->stored)
		store_put_container(tx, c);
	db_commit(server->db, tx, NULL, NULL);
}

/*
 * Its signal was sent, unless that was lost with the supervisor: sent twice, it means haste to many
 * programs. What is left is the timeout.
 */
void stop_adopted(struct server *server, struct container *c)
{
	uint64_t kill = c->run.kill_boot_usec;
	uint64_t now = clock_boot_usec();

	if (!kill)
		return;
	c->stop_asked = true;
	c->state = CONTAINER_STOPPING;
	arm_timer(server, c, kill > now ? (uint32_t)((kill - now) / 1000) : 0);
}
