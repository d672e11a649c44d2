/*
 * CopyContainer: a new container from the files and settings of another, or of a snapshot of it.
 * The row of the new one comes first, marked as unfinished, so that a crash in between is cleaned
 * up as that of any container that was being made (reconcile.c).
 */
#include "server/container_files.h"

#include "base/log.h"
#include "server/auth.h"
#include "server/cloud_init.h"
#include "server/container_new.h"
#include "server/convert_snapshot.h"
#include "server/details.h"
#include "server/events.h"
#include "server/link.h"
#include "server/store.h"
#include "server/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct copy {
	struct container_op *op;  /* of the new container */
	struct container *source; /* a reference, held */
	char snapshot[NAME_SIZE];
};

static void copy_free(struct copy *copy)
{
	copy->source->changing = false;
	container_unref(copy->source);
	free(copy);
}

/* Before anything of the new container is on disk. */
static void drop(struct copy *copy, const struct err *err)
{
	model_remove_container(copy->op->container);
	container_op_fail(copy->op, err);
	copy_free(copy);
}

/* The source is free at once, the name of the copy before the failure is told. */
static void take_back(struct copy *copy, const struct err *err)
{
	struct container_op *op = copy->op;

	copy_free(copy);
	container_op_take_back(op, err);
}

static void on_confirmed(void *arg, const struct err *err)
{
	struct copy *copy = arg;
	struct container *c = copy->op->container;

	if (err) {
		take_back(copy, err);
		return;
	}
	c->visible = true;
	log_info("container-copied tenant=%s container=%s from=%s", c->tenant->name, c->name,
		copy->source->name);
	container_op_reply(copy->op);
	copy_free(copy);
}

static void on_copied(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct copy *copy = arg;
	struct container *c = copy->op->container;
	struct details d;
	struct db_tx *tx;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err) {
		take_back(copy, err);
		return;
	}
	c->launching = false;
	details_init(&d);
	details_text(&d, "source", copy->source->name);
	details_text(&d, "snapshot", copy->snapshot);
	tx = db_tx_new_essential();
	store_put_container(tx, c);
	events_add_container(tx, c, "", "container.copied", details_end(&d),
		"%s/%s is a copy of %s%s%s", c->tenant->name, c->name, copy->source->name,
		*copy->snapshot ? ", snapshot " : "", copy->snapshot);
	container_op_store(copy->op, tx);
	db_commit(copy->op->server->db, tx, on_confirmed, copy);
}

static void fill(const struct copy *copy, struct msg_copy *msg)
{
	const struct container *c = copy->op->container;

	memset(msg, 0, sizeof(*msg));
	memcpy(msg->tenant, c->tenant->name, sizeof(msg->tenant));
	memcpy(msg->from, copy->source->name, sizeof(msg->from));
	memcpy(msg->snapshot, copy->snapshot, sizeof(msg->snapshot));
	memcpy(msg->to, c->name, sizeof(msg->to));
	msg->pause = (uint8_t)container_pause(copy->source);
	msg->disk = limits_disk(&c->limits);
}

static void on_marked(void *arg, const struct err *err)
{
	struct copy *copy = arg;
	struct msg_copy msg;
	struct err failure;

	if (err) {
		drop(copy, err);
		return;
	}
	copy->op->container->stored = true;
	fill(copy, &msg);
	if (link_send(copy->op->server->link, MSG_CONTAINER_COPY, &msg, NULL, 0, on_copied, copy,
		    &failure) < 0)
		take_back(copy, &failure);
}

/* The new container is what the old one is, or was. */
static int make(struct server *server, struct container *source, const struct snapshot *s,
	const char *id, struct container **ret, struct err *err)
{
	Croft__V1__CreateContainerRequest request = CROFT__V1__CREATE_CONTAINER_REQUEST__INIT;
	struct container_message from;
	struct snapshot_message was;
	struct limits limits;
	char parent[RESOURCE_SIZE];
	int r;

	snprintf(parent, sizeof(parent), "tenants/%s", source->tenant->name);
	convert_container(source, &from);
	if (s) {
		convert_snapshot(s, &was);
		snapshot_limits(s, &limits);
		convert_limits(&limits, &was.limits);
		from.msg.image = was.msg.image;
		from.msg.policy = was.msg.policy;
		from.msg.limits = was.msg.limits;
		from.msg.init_args = was.msg.init_args;
		from.msg.n_init_args = was.msg.n_init_args;
		from.msg.with_init = was.msg.with_init;
		from.msg.oom_group = was.msg.oom_group;
	}
	request.parent = parent;
	request.container_id = (char *)id;
	request.container = &from.msg;
	r = *from.msg.image ? container_new(server, NULL, &request, ret, err)
			    : container_new_own(server, NULL, &request, source->own, ret, err);
	if (r < 0)
		return r;
	r = cloud_init_copy(source, *ret, err);
	if (r < 0)
		model_remove_container(*ret);
	return r;
}

static int find_snapshot(const struct container *source, const char *name,
	const struct snapshot **ret, struct err *err)
{
	const struct snapshot *s = *name ? snapshot_any(source, name) : NULL;

	if (*name && (!s || !s->visible || s->dropping))
		return err_set(err, ERR_NOT_FOUND, "SNAPSHOT_NOT_FOUND",
			"%s/%s has no snapshot %.40s", source->tenant->name, source->name, name);
	*ret = s;
	return 0;
}

static int begin(struct mutation *m, const Croft__V1__CopyContainerRequest *request,
	struct container **ret_source, struct container **ret, struct err *err)
{
	const struct snapshot *s = NULL;
	struct container *source;
	int r = model_find_container(&m->server->model, request->name, &source, err);

	if (r == 0)
		r = auth_check_work(grpc_call_peer(m->call), source->tenant, err);
	if (r == 0)
		r = container_check_free(source, err);
	if (r == 0)
		r = find_snapshot(source, request->snapshot, &s, err);
	if (r == 0)
		r = make(m->server, source, s, request->container_id, ret, err);
	if (r == 0)
		*ret_source = source;
	return r;
}

void container_copy(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CopyContainerRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct container *source = NULL;
	struct container *c = NULL;
	struct copy *copy;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (begin(m, request, &source, &c, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	copy = calloc(1, sizeof(*copy));
	if (!copy) {
		err_oom(&err);
		mutation_fail(m, &err);
		model_remove_container(c);
		return;
	}
	copy->op = container_op_begin(m, c);
	if (!copy->op) {
		free(copy);
		model_remove_container(c);
		return;
	}
	copy->source = container_ref(source);
	source->changing = true;
	snprintf(copy->snapshot, sizeof(copy->snapshot), "%s", request->snapshot);
	c->launching = true;
	container_mount_copy(source, c);
	tx = db_tx_new();
	store_put_container(tx, c);
	store_put_cloud_init(tx, c);
	if (c->own)
		store_put_own(tx, c);
	for (size_t i = 0; i < c->n_mounts; i++)
		store_add_mount(tx, c, &c->mounts[i]);
	events_add_created(tx, c);
	db_commit(m->server->db, tx, on_marked, copy);
}
