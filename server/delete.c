/*
 * Deleting a container in two commits: that it is to go, then that it is gone. Whatever dies in
 * between, the deletion is gone on with; see lifecycle.h.
 */
#include "server/lifecycle.h"

#include "base/log.h"
#include "server/events.h"
#include "server/link.h"
#include "server/log_quota.h"
#include "server/logs.h"
#include "server/network.h"
#include "server/snapshot.h"
#include "server/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct deletion {
	struct server *server;
	struct container *container; /* a reference */
	int waiting;		     /* for the mark's commit and the supervisor */
	bool failed;
	struct err err;
};

static void deletion_free(struct deletion *d)
{
	container_unref(d->container);
	free(d);
}

struct retry {
	struct server *server;
	struct container *container; /* a reference */
};

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct retry *retry = arg;

	(void)fd;
	(void)what;
	/* Without a connection it goes on after the next reconciliation. */
	if (!retry->container->gone && link_is_connected(retry->server->link))
		delete_continue(retry->server, retry->container);
	container_unref(retry->container);
	free(retry);
}

static void retry_later(struct deletion *d)
{
	static const struct timeval pause = {.tv_sec = 1};
	struct retry *retry = malloc(sizeof(*retry));

	if (!retry)
		return;
	*retry = (struct retry){d->server, container_ref(d->container)};
	if (event_base_once(d->server->base, -1, EV_TIMEOUT, on_retry, retry, &pause) == 0)
		return;
	container_unref(retry->container);
	free(retry);
}

static void unmark(struct deletion *d)
{
	struct container *c = d->container;
	struct db_tx *tx = db_tx_new_essential();

	c->state = CONTAINER_STOPPED;
	c->condemned = false;
	store_put_container(tx, c);
	db_commit(d->server->db, tx, NULL, NULL);
}

/* What a client asked for in vain stays, stopped. What is to go anyhow is tried again. */
static void give_up(struct deletion *d)
{
	struct container *c = d->container;
	bool asked = !TAILQ_EMPTY(&c->gone_waiters);

	log_warning("container-not-deleted tenant=%s container=%s error=\"%s\"", c->tenant->name,
		c->name, d->err.msg);
	c->delete_hook = NULL;
	c->delete_pending = false;
	if (strcmp(d->err.reason, "SUPERVISOR_GONE") != 0) {
		if (asked && c->visible && !c->launching)
			unmark(d);
		else
			retry_later(d);
	}
	waiters_call(&c->gone_waiters, &d->err);
	deletion_free(d);
}

static void on_all_gone(void *arg, const struct err *err)
{
	struct deletion *d = arg;
	struct container *c = d->container;

	(void)err;
	log_info("container-deleted tenant=%s container=%s", c->tenant->name, c->name);
	model_remove_container(c);
	log_quota_kept(d->server, c, 0);
	/* After it: whoever follows its output sees that nothing more can come. */
	logs_remove(d->server, c->uid);
	waiters_call(&c->gone_waiters, NULL);
	deletion_free(d);
}

static void on_row_deleted(void *arg, const struct err *err)
{
	struct deletion *d = arg;

	if (err) {
		d->container->row_gone = false;
		d->err = *err;
		give_up(d);
	} else if (!network_forget_forwards(d->server, d->container, on_all_gone, d)) {
		on_all_gone(d, NULL);
	}
}

static void delete_row(struct deletion *d)
{
	struct container *c = d->container;
	struct db_tx *tx = db_tx_new_essential();

	store_delete_container(tx, c);
	events_add_deleted(tx, c);
	if (c->delete_hook)
		c->delete_hook(c->delete_arg, tx);
	db_commit(d->server->db, tx, on_row_deleted, d);
}

static void join(struct deletion *d)
{
	if (--d->waiting)
		return;
	if (d->failed)
		give_up(d);
	else
		delete_row(d);
}

static void note(struct deletion *d, const struct err *err)
{
	if (err && !d->failed) {
		d->failed = true;
		d->err = *err;
	}
	join(d);
}

static void on_marked(void *arg, const struct err *err)
{
	struct deletion *d = arg;

	d->container->stored |= !err;
	note(d, err);
}

static void on_removed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	(void)reply;
	link_close_fds(fds, n_fds);
	note(arg, err && err->code != ERR_NOT_FOUND ? err : NULL);
}

void delete_continue(struct server *server, struct container *c)
{
	struct msg_container msg = {0};
	struct deletion *d;
	struct db_tx *tx;
	struct err err;

	if (c->delete_pending)
		return;
	d = calloc(1, sizeof(*d));
	if (!d) {
		err_oom(&err);
		waiters_call(&c->gone_waiters, &err);
		return;
	}
	d->server = server;
	d->container = container_ref(c);
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	c->condemned = true;
	c->delete_pending = true;
	c->state = CONTAINER_DELETING;
	if (link_send_early(server->link, MSG_CONTAINER_REMOVE, &msg, NULL, 0, on_removed, d,
		    &d->err) < 0) {
		/* Marked all the same, so that it goes on when there is a supervisor again. */
		d->failed = true;
		d->waiting = 1;
	} else {
		d->waiting = 2;
	}
	tx = db_tx_new_essential();
	store_put_container(tx, c);
	/* One whose rows were never committed: the mark is its first row. */
	if (!c->stored)
		events_add_created(tx, c);
	db_commit(server->db, tx, on_marked, d);
}

/* Undoes the last waiters_add(). */
static void drop_last(struct waiter_list *list)
{
	struct waiter *last = TAILQ_LAST(list, waiter_list);

	TAILQ_REMOVE(list, last, entry);
	free(last);
}

static void on_ended(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
}

static int check(const struct container *c, bool force, struct err *err)
{
	size_t n = snapshot_count(c);

	if (c->changing)
		return err_set(err, ERR_ABORTED, "CONTAINER_BUSY",
			"%s/%s is being changed; try again", c->tenant->name, c->name);
	if (!force && n)
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_HAS_SNAPSHOTS",
			"%s/%s has %zu snapshot%s, which would go with it; delete %s first, or "
			"force it",
			c->tenant->name, c->name, n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
	if (!force && container_state_is_live(c->state))
		return container_state_check(
			c->tenant->name, c->name, c->state, CONTAINER_DELETING, err);
	return 0;
}

int delete_container(struct server *server, struct container *c, bool force,
	void (*hook)(void *arg, struct db_tx *tx), void (*done)(void *arg, const struct err *err),
	void *arg, struct err *err)
{
	int r = check(c, force, err);

	if (r == 0 && !link_is_connected(server->link))
		r = link_gone(err);
	if (r == 0)
		r = waiters_add(&c->gone_waiters, done, arg, err);
	if (r < 0)
		return r;
	if (!c->delete_hook) {
		c->delete_hook = hook;
		c->delete_arg = arg;
	}
	if (c->state == CONTAINER_DELETING || c->condemned)
		return 0;
	if (!container_state_is_live(c->state)) {
		delete_continue(server, c);
		return 0;
	}
	/* run_end.c goes on with what is condemned. */
	c->condemned = true;
	r = stop_container(server, c, 0, on_ended, NULL, err);
	if (r < 0) {
		c->condemned = false;
		c->delete_hook = NULL;
		drop_last(&c->gone_waiters);
	}
	return r;
}

void delete_unmade(struct server *server, struct container *c,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct err no_memory;

	if (c->gone) {
		done(arg, NULL);
		return;
	}
	if (waiters_add(&c->gone_waiters, done, arg, &no_memory) < 0) {
		delete_continue(server, c);
		done(arg, &no_memory);
		return;
	}
	/* One that runs is on its way already. */
	if (!container_state_is_live(c->state))
		delete_continue(server, c);
}
