/* What is done to a volume as a whole; see volume_op.h. */
#include "server/volume_op.h"

#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/link.h"
#include "server/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_S 1

/* --- messages --- */

static const char *shown_size(const struct volume *v, uint64_t *ret)
{
	*ret = v->size_bytes == LIMIT_UNSET ? 0 : v->size_bytes;
	return v->name;
}

const ProtobufCMessage *volume_message_fill(const struct volume *v, struct volume_message *out)
{
	const struct container *user = NULL;
	size_t n = 0;

	out->containers = NULL;
	out->list = NULL;
	while ((user = volume_next_user(v, user)))
		n++;
	if (n) {
		out->containers = calloc(n, sizeof(*out->containers));
		out->list = calloc(n, sizeof(*out->list));
		if (!out->containers || !out->list)
			return NULL;
	}
	croft__v1__volume__init(&out->msg);
	volume_resource_name(v, out->name);
	convert_time(v->created_wall_usec, &out->created);
	out->msg.name = out->name;
	shown_size(v, &out->msg.size_bytes);
	out->msg.uid = (char *)v->uid;
	out->msg.create_time = &out->created;
	out->msg.used_bytes = v->used_bytes;
	out->msg.size_enforced = v->enforced;
	while (out->msg.n_containers < n && (user = volume_next_user(v, user))) {
		char *name = out->containers[out->msg.n_containers];

		snprintf(name, RESOURCE_SIZE, "tenants/%s/containers/%s", v->tenant->name,
			user->name);
		out->list[out->msg.n_containers++] = name;
	}
	out->msg.containers = out->list;
	return &out->msg.base;
}

void volume_message_finish(struct volume_message *out)
{
	free(out->containers);
	free(out->list);
}

/* --- what all operations share --- */

struct volume_op *volume_op_new(
	struct server *server, struct mutation *mutation, struct volume *v, struct err *err)
{
	struct volume_op *op;

	if (v->changing) {
		err_set(err, ERR_ABORTED, "VOLUME_BUSY",
			"volume %s/%s is being made, changed or removed; try again",
			v->tenant->name, v->name);
		return NULL;
	}
	op = calloc(1, sizeof(*op));
	if (!op) {
		err_oom(err);
		return NULL;
	}
	op->server = server;
	op->mutation = mutation;
	op->tenant = tenant_ref(v->tenant);
	op->volume = v;
	v->changing = true;
	return op;
}

static void op_free(struct volume_op *op)
{
	if (op->volume)
		op->volume->changing = false;
	tenant_unref(op->tenant);
	free(op);
}

/* Tells whoever waits, once. */
static void tell_failure(struct volume_op *op)
{
	const struct err *err = op->failed ? &op->why : &op->err;

	if (op->mutation)
		mutation_fail(op->mutation, err);
	if (op->done)
		op->done(op->arg, err);
	op->mutation = NULL;
	op->done = NULL;
}

static void reply_volume(struct volume_op *op)
{
	struct volume_message message;
	const ProtobufCMessage *reply = volume_message_fill(op->volume, &message);

	if (reply)
		mutation_reply(op->mutation, reply);
	else
		mutation_fail(op->mutation, (err_oom(&op->err), &op->err));
	volume_message_finish(&message);
}

static void store_reply(struct volume_op *op, struct db_tx *tx)
{
	struct volume_message message;
	const ProtobufCMessage *reply = volume_message_fill(op->volume, &message);

	if (reply)
		mutation_store(op->mutation, tx, reply);
	volume_message_finish(&message);
}

static void fill(const struct volume_op *op, uint64_t size_bytes, struct msg_volume *msg)
{
	memset(msg, 0, sizeof(*msg));
	memcpy(msg->tenant, op->tenant->name, sizeof(msg->tenant));
	memcpy(msg->volume, op->volume->name, sizeof(msg->volume));
	msg->size_bytes = size_bytes;
	msg->force = op->force;
}

static void begin_details(const struct volume *v, struct details *d)
{
	details_init(d);
	details_text(d, "volume", v->name);
	details_text(d, "uid", v->uid);
}

/* --- removing --- */

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	/* Without a connection it goes on after the next reconciliation. */
	if (link_is_ready(server->link))
		volume_settle_all(server);
}

static void give_up(struct volume_op *op)
{
	static const struct timeval pause = {.tv_sec = RETRY_S};

	log_warning("volume-not-removed tenant=%s volume=%s error=\"%s\"", op->tenant->name,
		op->volume->name, op->err.msg);
	if (strcmp(op->err.reason, "SUPERVISOR_GONE") != 0)
		event_base_once(op->server->base, -1, EV_TIMEOUT, on_retry, op->server, &pause);
	tell_failure(op);
	op_free(op);
}

static void on_drop_committed(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct volume_op *op = arg;

	if (err) {
		op->err = *err;
		give_up(op);
		return;
	}
	log_info("volume-%s tenant=%s volume=%s", op->failed ? "not-created" : "deleted",
		op->tenant->name, op->volume->name);
	volume_remove(op->volume);
	op->volume = NULL;
	if (op->failed) {
		tell_failure(op);
		op_free(op);
		return;
	}
	if (op->mutation)
		mutation_reply(op->mutation, &empty.base);
	if (op->done)
		op->done(op->arg, NULL);
	op_free(op);
}

static void delete_row(struct volume_op *op)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct db_tx *tx = db_tx_new_essential();
	struct details d;

	store_delete_volume(tx, op->volume);
	/* One that was never told of does not go either. */
	if (op->volume->visible) {
		begin_details(op->volume, &d);
		events_add_tenant(tx, op->tenant, "volume.deleted", details_end(&d),
			"volume %s/%s was deleted", op->tenant->name, op->volume->name);
	}
	if (op->mutation && !op->failed)
		mutation_store(op->mutation, tx, &empty.base);
	db_commit(op->server->db, tx, on_drop_committed, op);
}

static void on_dropped(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct volume_op *op = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (!err || err->code == ERR_NOT_FOUND) {
		delete_row(op);
		return;
	}
	op->err = *err;
	give_up(op);
}

static void on_drop_marked(void *arg, const struct err *err)
{
	struct volume_op *op = arg;
	struct msg_volume msg;

	if (err) {
		op->err = *err;
		give_up(op);
		return;
	}
	fill(op, LIMIT_UNSET, &msg);
	if (link_send(op->server->link, MSG_VOLUME_REMOVE, &msg, NULL, 0, on_dropped, op,
		    &op->err) < 0)
		give_up(op);
}

void volume_drop(struct volume_op *op)
{
	struct db_tx *tx = db_tx_new_essential();

	op->volume->dropping = true;
	store_put_volume(tx, op->volume);
	db_commit(op->server->db, tx, on_drop_marked, op);
}

void volume_settle_all(struct server *server)
{
	struct map_node *t;
	struct map_node *node;

	MAP_FOREACH(t, &server->model.tenants)
	MAP_FOREACH(node, &map_object(t, struct tenant, by_name)->volumes)
	{
		struct volume *v = map_object(node, struct volume, by_name);
		struct volume_op *op;
		struct err err;

		op = v->dropping ? volume_op_new(server, NULL, v, &err) : NULL;
		if (op)
			volume_drop(op);
	}
}

/* --- making --- */

/* Its row goes; its failure is told when the name is free again. */
static void forget(struct volume_op *op)
{
	op->failed = true;
	op->why = op->err;
	delete_row(op);
}

/* The same, with what may have been made of it. */
static void undo(struct volume_op *op)
{
	op->failed = true;
	op->why = op->err;
	volume_drop(op);
}

static void on_make_committed(void *arg, const struct err *err)
{
	struct volume_op *op = arg;

	if (err) {
		op->volume->visible = false;
		op->err = *err;
		undo(op);
		return;
	}
	log_info("volume-created tenant=%s volume=%s", op->tenant->name, op->volume->name);
	reply_volume(op);
	op_free(op);
}

static void on_made(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct volume_op *op = arg;
	struct volume *v = op->volume;
	struct details d;
	struct db_tx *tx;
	uint64_t size;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err) {
		op->err = *err;
		/* Whatever the pool has there that we know nothing of, it is not ours to remove. */
		if (!strcmp(err->reason, "VOLUME_EXISTS"))
			forget(op);
		else
			undo(op);
		return;
	}
	v->visible = true;
	v->enforced = v->size_bytes != LIMIT_UNSET;
	tx = db_tx_new();
	store_put_volume(tx, v);
	begin_details(v, &d);
	shown_size(v, &size);
	details_number(&d, "size_bytes", size);
	events_add_tenant(tx, op->tenant, "volume.created", details_end(&d),
		"volume %s/%s was made", op->tenant->name, v->name);
	store_reply(op, tx);
	db_commit(op->server->db, tx, on_make_committed, op);
}

static void on_make_marked(void *arg, const struct err *err)
{
	struct volume_op *op = arg;
	struct msg_volume msg;

	if (err) {
		op->err = *err;
		tell_failure(op);
		volume_remove(op->volume);
		op->volume = NULL;
		op_free(op);
		return;
	}
	fill(op, op->volume->size_bytes, &msg);
	if (link_send(op->server->link, MSG_VOLUME_MAKE, &msg, NULL, 0, on_made, op, &op->err) < 0)
		undo(op);
}

void volume_make(struct volume_op *op)
{
	struct db_tx *tx = db_tx_new();

	store_put_volume(tx, op->volume);
	db_commit(op->server->db, tx, on_make_marked, op);
}

/* --- another size --- */

static void swap_size(struct volume_op *op)
{
	uint64_t old = op->volume->size_bytes;

	op->volume->size_bytes = op->size_bytes;
	op->size_bytes = old;
	op->volume->enforced = op->volume->size_bytes != LIMIT_UNSET;
}

static void on_resize_committed(void *arg, const struct err *err)
{
	struct volume_op *op = arg;
	struct msg_volume msg;
	struct err ignored;

	if (!err) {
		log_info("volume-updated tenant=%s volume=%s", op->tenant->name, op->volume->name);
		reply_volume(op);
		op_free(op);
		return;
	}
	swap_size(op);
	op->force = true;
	fill(op, op->volume->size_bytes, &msg);
	link_send(op->server->link, MSG_VOLUME_LIMIT, &msg, NULL, 0, NULL, NULL, &ignored);
	op->err = *err;
	tell_failure(op);
	op_free(op);
}

static void add_resized(struct db_tx *tx, const struct volume_op *op)
{
	const struct volume *v = op->volume;
	struct changes changes;
	char before[LIMIT_TEXT_MAX];
	char after[LIMIT_TEXT_MAX];

	if (v->size_bytes == op->size_bytes)
		return;
	changes_init(&changes);
	changes_number(&changes, "size_bytes", op->size_bytes == LIMIT_UNSET ? 0 : op->size_bytes,
		v->size_bytes == LIMIT_UNSET ? 0 : v->size_bytes);
	details_close(&changes.details);
	details_text(&changes.details, "volume", v->name);
	events_add_tenant(tx, op->tenant, "volume.updated", changes_end(&changes),
		"volume %s/%s may hold %s instead of %s", op->tenant->name, v->name,
		limit_format(LIMIT_DISK, v->size_bytes, after),
		limit_format(LIMIT_DISK, op->size_bytes, before));
}

static void on_resized(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct volume_op *op = arg;
	struct db_tx *tx;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err) {
		op->err = *err;
		tell_failure(op);
		op_free(op);
		return;
	}
	swap_size(op);
	tx = db_tx_new();
	store_put_volume(tx, op->volume);
	add_resized(tx, op);
	store_reply(op, tx);
	db_commit(op->server->db, tx, on_resize_committed, op);
}

void volume_resize(struct volume_op *op)
{
	struct msg_volume msg;

	fill(op, op->size_bytes, &msg);
	if (link_send(op->server->link, MSG_VOLUME_LIMIT, &msg, NULL, 0, on_resized, op,
		    &op->err) == 0)
		return;
	tell_failure(op);
	op_free(op);
}
