/*
 * Making and removing a snapshot; see snapshot_op.h. Its row comes before it and goes after it, so
 * that whatever is killed in between, a row tells what is left to be removed.
 */
#include "server/snapshot_op.h"

#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"
#include "server/container_files.h"
#include "server/convert_snapshot.h"
#include "server/details.h"
#include "server/events.h"
#include "server/link.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_S 1

struct snapshot_op *snapshot_op_new(
	struct server *server, struct mutation *mutation, struct container *c, struct err *err)
{
	struct snapshot_op *op;

	if (container_check_free(c, err) < 0)
		return NULL;
	op = calloc(1, sizeof(*op));
	if (!op) {
		err_oom(err);
		return NULL;
	}
	op->server = server;
	op->mutation = mutation;
	op->container = container_ref(c);
	c->changing = true;
	return op;
}

void snapshot_op_free(struct snapshot_op *op)
{
	op->container->changing = false;
	snapshot_schedule_wake(op->server);
	container_unref(op->container);
	free(op);
}

static void fail(struct snapshot_op *op)
{
	if (op->mutation)
		mutation_fail(op->mutation, op->failed ? &op->why : &op->err);
	op->mutation = NULL;
}

static void fill_message(const struct snapshot *s, struct msg_snapshot *msg)
{
	const struct container *c = s->container;

	memset(msg, 0, sizeof(*msg));
	memcpy(msg->tenant, c->tenant->name, sizeof(msg->tenant));
	memcpy(msg->container, c->name, sizeof(msg->container));
	memcpy(msg->snapshot, s->name, sizeof(msg->snapshot));
	msg->disk = limits_disk(&c->limits);
}

static void add_event(
	struct db_tx *tx, const struct snapshot *s, const char *type, const char *what)
{
	const struct container *c = s->container;
	struct details d;

	details_init(&d);
	details_text(&d, "snapshot", s->name);
	details_text(&d, "uid", s->uid);
	details_number(&d, "size_bytes", s->size_bytes);
	events_add_container(tx, c, c->run.id, type, details_end(&d), "%s of %s/%s was %s", s->name,
		c->tenant->name, c->name, what);
}

/* Nobody waits for what a schedule asks for, so an event tells; with the next time on record. */
static void record_failure(struct snapshot_op *op, const char *name)
{
	const struct container *c = op->container;
	struct db_tx *tx = db_tx_new();
	struct details d;

	details_init(&d);
	details_text(&d, "snapshot", name);
	details_text(&d, "code", err_code_name((enum err_code)op->err.code));
	details_text(&d, "reason", op->err.reason);
	details_text(&d, "message", op->err.msg);
	store_put_container(tx, c);
	events_add_container(tx, c, c->run.id, "snapshot.failed", details_end(&d),
		"%s of %s/%s, due by its schedule, could not be made: %s", name, c->tenant->name,
		c->name, op->err.msg);
	db_commit(op->server->db, tx, NULL, NULL);
}

void snapshot_op_failed(struct snapshot_op *op, const char *name)
{
	record_failure(op, name);
	snapshot_op_free(op);
}

/* --- making --- */

int snapshot_check_new(const struct container *c, const char *name, struct err *err)
{
	const struct snapshot *same;
	int r = name_check("snapshot", name, err);

	if (r < 0)
		return r;
	same = snapshot_any(c, name);
	if (same && (!same->visible || same->dropping))
		return err_set(err, ERR_ABORTED, "SNAPSHOT_BUSY",
			"a snapshot %s of %s/%s is being made or removed; try again", name,
			c->tenant->name, c->name);
	if (same)
		return err_set(err, ERR_ALREADY_EXISTS, "SNAPSHOT_EXISTS",
			"%s/%s has a snapshot %s already; delete it, or choose another name",
			c->tenant->name, c->name, name);
	if (c->snapshots.n >= SNAPSHOTS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_SNAPSHOTS",
			"snapshots", "%s/%s has %d snapshots, which is the most; delete one",
			c->tenant->name, c->name, SNAPSHOTS_MAX);
	return 0;
}

/* What failed on the way is removed again; that it failed is told when its name is free. */
static void undo(struct snapshot_op *op)
{
	op->failed = true;
	op->why = op->err;
	if (op->snapshot->automatic)
		record_failure(op, op->snapshot->name);
	op->snapshot->dropping = true;
	snapshot_drop(op);
}

static void on_make_committed(void *arg, const struct err *err)
{
	struct snapshot_op *op = arg;
	struct snapshot_message message;

	if (err) {
		op->snapshot->visible = false;
		op->err = *err;
		undo(op);
		return;
	}
	log_info("snapshot-made tenant=%s container=%s snapshot=%s", op->container->tenant->name,
		op->container->name, op->snapshot->name);
	if (op->mutation)
		mutation_reply(op->mutation, convert_snapshot(op->snapshot, &message));
	snapshot_op_free(op);
}

static void on_made(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_snapshot_made *made = reply;
	struct snapshot_op *op = arg;
	struct snapshot_message message;
	struct db_tx *tx;

	link_close_fds(fds, n_fds);
	if (err) {
		op->err = *err;
		undo(op);
		return;
	}
	op->snapshot->size_bytes = made->used_bytes;
	op->snapshot->visible = true;
	tx = db_tx_new();
	store_put_snapshot(tx, op->snapshot);
	if (op->snapshot->automatic)
		store_put_container(tx, op->container); /* when the next is due */
	add_event(tx, op->snapshot, "snapshot.created", "made");
	if (op->mutation)
		mutation_store(op->mutation, tx, convert_snapshot(op->snapshot, &message));
	db_commit(op->server->db, tx, on_make_committed, op);
}

static void on_make_marked(void *arg, const struct err *err)
{
	struct snapshot_op *op = arg;
	struct msg_snapshot msg;

	if (err) {
		op->err = *err;
		fail(op);
		snapshot_remove(op->snapshot);
		snapshot_op_free(op);
		return;
	}
	fill_message(op->snapshot, &msg);
	msg.pause = (uint8_t)container_pause(op->container);
	if (link_send(op->server->link, MSG_SNAPSHOT_MAKE, &msg, NULL, 0, on_made, op, &op->err) <
		0)
		undo(op);
}

void snapshot_make(struct snapshot_op *op)
{
	struct db_tx *tx = db_tx_new();

	store_put_snapshot(tx, op->snapshot);
	db_commit(op->server->db, tx, on_make_marked, op);
}

/* --- removing --- */

struct retry {
	struct server *server;
	struct container *container; /* a reference */
};

static void settle_later(struct server *server, struct container *c, int seconds);

static void settle(struct server *server, struct container *c)
{
	struct map_node *node;
	struct snapshot_op *op;
	struct err err;

	MAP_FOREACH(node, &c->snapshots)
	{
		struct snapshot *s = map_object(node, struct snapshot, by_name);

		if (!s->dropping || c->gone)
			continue;
		op = snapshot_op_new(server, NULL, c, &err);
		if (!op) {
			/* Something else holds the container now. */
			settle_later(server, c, RETRY_S);
			return;
		}
		op->snapshot = s;
		snapshot_drop(op);
		return; /* the next when this one is gone */
	}
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct retry *retry = arg;

	(void)fd;
	(void)what;
	/* Without a connection it goes on after the next reconciliation. */
	if (!retry->container->gone && link_is_ready(retry->server->link))
		settle(retry->server, retry->container);
	container_unref(retry->container);
	free(retry);
}

/* After a pause, so that what holds the container now can end. */
static void settle_later(struct server *server, struct container *c, int seconds)
{
	const struct timeval pause = {.tv_sec = seconds};
	struct retry *retry = malloc(sizeof(*retry));

	if (!retry)
		return;
	*retry = (struct retry){server, container_ref(c)};
	if (event_base_once(server->base, -1, EV_TIMEOUT, on_retry, retry, &pause) == 0)
		return;
	container_unref(retry->container);
	free(retry);
}

static void give_up(struct snapshot_op *op)
{
	log_warning("snapshot-not-removed tenant=%s container=%s snapshot=%s error=\"%s\"",
		op->container->tenant->name, op->container->name, op->snapshot->name, op->err.msg);
	fail(op);
	if (strcmp(op->err.reason, "SUPERVISOR_GONE") != 0)
		settle_later(op->server, op->container, RETRY_S);
	snapshot_op_free(op);
}

static void on_drop_committed(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct snapshot_op *op = arg;

	if (err) {
		op->err = *err;
		give_up(op);
		return;
	}
	log_info("snapshot-removed tenant=%s container=%s snapshot=%s", op->container->tenant->name,
		op->container->name, op->snapshot->name);
	snapshot_remove(op->snapshot);
	if (op->failed)
		fail(op);
	else if (op->mutation)
		mutation_reply(op->mutation, &empty.base);
	settle_later(op->server, op->container, 0);
	snapshot_op_free(op);
}

static void on_dropped(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct snapshot_op *op = arg;
	struct db_tx *tx;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err && err->code != ERR_NOT_FOUND) {
		op->err = *err;
		give_up(op);
		return;
	}
	tx = db_tx_new_essential();
	store_delete_snapshot(tx, op->snapshot);
	/* One that was never told of does not go either. */
	if (op->snapshot->visible)
		add_event(tx, op->snapshot, "snapshot.deleted", "deleted");
	if (op->mutation && !op->failed)
		mutation_store(op->mutation, tx, &empty.base);
	db_commit(op->server->db, tx, on_drop_committed, op);
}

static void on_drop_marked(void *arg, const struct err *err)
{
	struct snapshot_op *op = arg;
	struct msg_snapshot msg;

	if (err) {
		op->err = *err;
		give_up(op);
		return;
	}
	fill_message(op->snapshot, &msg);
	if (link_send(op->server->link, MSG_SNAPSHOT_REMOVE, &msg, NULL, 0, on_dropped, op,
		    &op->err) < 0)
		give_up(op);
}

void snapshot_drop(struct snapshot_op *op)
{
	struct db_tx *tx = db_tx_new_essential();

	op->snapshot->dropping = true;
	store_put_snapshot(tx, op->snapshot);
	db_commit(op->server->db, tx, on_drop_marked, op);
}

void snapshot_settle_all(struct server *server)
{
	struct container *c = NULL;

	while ((c = model_next_container(&server->model, c)))
		settle(server, c);
}
