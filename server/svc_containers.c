/*
 * The service Containers: making, reading, changing, deleting. Starting and stopping are in
 * svc_container_runs.c, exec in svc_exec.c, logs in svc_logs.c.
 */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/container_files.h"
#include "server/container_new.h"
#include "server/container_op.h"
#include "server/container_update.h"
#include "server/convert.h"
#include "server/events.h"
#include "server/hold.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/page.h"
#include "server/store.h"

#include <string.h>

/* Begins with a container of its own, which is in the model but not visible. NULL: answered. */
static struct container_op *begin_new(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CreateContainerRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct container_op *op;
	struct container *c;
	struct err err;

	if (!m)
		return NULL;
	if (container_new(m->server, grpc_call_peer(call), request, &c, &err) < 0) {
		mutation_fail(m, &err);
		return NULL;
	}
	op = container_op_begin(m, c);
	if (!op)
		model_remove_container(c);
	return op;
}

/* --- CreateContainer --- */

static void fail_new(struct container_op *op, const struct err *err)
{
	struct db_tx *tx;

	if (link_outcome_is_open(err)) {
		/* Its upper may exist: until that is gone, its name is taken. */
		container_op_take_back(op, err);
		return;
	}
	if (op->committed) {
		tx = db_tx_new_essential();
		store_delete_container(tx, op->container);
		events_add_create_failed(tx, op->container, err);
		events_add_deleted(tx, op->container);
		db_commit(op->server->db, tx, NULL, NULL);
	}
	model_remove_container(op->container);
	container_op_fail(op, err);
}

static void on_create_confirmed(void *arg, const struct err *err)
{
	struct container_op *op = arg;
	struct container *c = op->container;

	if (err) {
		/* Its upper exists: it goes the way of every deletion. */
		container_op_take_back(op, err);
		return;
	}
	c->visible = true;
	log_info("container-created tenant=%s container=%s", c->tenant->name, c->name);
	container_op_reply(op);
}

static void join_create(struct container_op *op)
{
	struct container *c = op->container;
	struct db_tx *tx;

	if (--op->waiting)
		return;
	if (!op->made) {
		fail_new(op, &op->err);
		return;
	}
	if (!op->committed) {
		on_create_confirmed(op, &op->err);
		return;
	}
	c->launching = false;
	tx = db_tx_new_essential();
	store_put_container(tx, c);
	container_op_store(op, tx);
	db_commit(op->server->db, tx, on_create_confirmed, op);
}

static void on_create_marked(void *arg, const struct err *err)
{
	struct container_op *op = arg;

	op->committed = !err;
	op->container->stored = !err;
	if (err && !op->err.code)
		op->err = *err;
	join_create(op);
}

static void on_made(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct container_op *op = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	op->made = !err;
	if (err)
		op->err = *err;
	join_create(op);
}

static void create_container(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct container_op *op = begin_new(call, message);
	struct msg_container_create msg = {0};
	struct container *c;
	struct db_tx *tx;
	struct err err;

	if (!op)
		return;
	c = op->container;
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	msg.disk = limits_disk(&c->limits);
	op->waiting = 2;
	if (link_send(op->server->link, MSG_CONTAINER_CREATE, &msg, NULL, 0, on_made, op, &err) <
		0) {
		model_remove_container(c);
		container_op_fail(op, &err);
		return;
	}
	/* Marked as unfinished, so that a crash in between is cleaned up (reconcile.c). */
	c->launching = true;
	tx = db_tx_new();
	store_put_container(tx, c);
	store_put_cloud_init(tx, c);
	events_add_created(tx, c);
	db_commit(op->server->db, tx, on_create_marked, op);
}

/* --- LaunchContainer --- */

static void on_launched(void *arg, const struct err *err)
{
	struct container_op *op = arg;
	const struct container *c = op->container;

	if (!err) {
		op->container->visible = true;
		container_op_reply(op);
	} else if (container_state_is_live(c->state) && strcmp(err->reason, "SUPERVISOR_GONE")) {
		/* It runs without rows on disk, so it is ended. */
		container_op_take_back(op, err);
	} else {
		container_op_fail(op, err);
	}
}

static void confirm_launch(void *arg, struct db_tx *tx)
{
	container_op_store(arg, tx);
}

static void launch_container(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct container_op *op = begin_new(call, message);
	struct start_request request = {
		.launch = true, .confirm = confirm_launch, .done = on_launched, .arg = op};
	struct err err;

	if (!op)
		return;
	request.container = op->container;
	request.tx = db_tx_new();
	/* Replaced by the full one as soon as the start is confirmed. */
	container_op_store(op, request.tx);
	if (start_container(op->server, &request, &err) < 0) {
		model_remove_container(op->container);
		container_op_fail(op, &err);
	}
}

/* --- GetContainer, ListContainers --- */

struct get {
	struct grpc_call *call;
	struct container *container;
};

static void finish_get(struct get *get)
{
	struct container_message out;

	grpc_reply(get->call, convert_container(get->container, &out));
	grpc_call_unref(get->call);
	container_unref(get->container);
	free(get);
}

static void on_disk(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_disk *disk = reply;
	struct get *get = arg;

	link_close_fds(fds, n_fds);
	if (!err) {
		get->container->disk_used = disk->used;
		get->container->disk_enforced = disk->enforced;
	}
	finish_get(get);
}

static void get_container(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetContainerRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct msg_container msg = {0};
	struct container *c;
	struct get *get;
	struct err err;

	if (model_find_container(&server->model, request->name, &c, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	get = malloc(sizeof(*get));
	if (!get) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	get->call = grpc_call_ref(call);
	get->container = container_ref(c);
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	/* Without a supervisor it is shown with the figure last measured. */
	if (link_send(server->link, MSG_CONTAINER_DISK, &msg, NULL, 0, on_disk, get, &err) < 0)
		finish_get(get);
}

/* The first container behind a key "tenant/name" (of one tenant, or of all); NULL at the end. */
static struct container *next_listed(
	const struct server *server, const struct tenant *only, const char *after)
{
	char tenant[PAGE_KEY_SIZE];
	const char *name = "";
	const struct tenant *t;
	struct map_node *node;
	char *slash;

	snprintf(tenant, sizeof(tenant), "%s", after);
	slash = strchr(tenant, '/');
	if (slash) {
		*slash = '\0';
		name = slash + 1;
	}
	t = only ? only : model_any_tenant(&server->model, tenant);
	for (;;) {
		node = t ? map_after(&t->containers, name) : NULL;
		if (node)
			return map_object(node, struct container, by_name);
		node = only ? NULL : map_after(&server->model.tenants, tenant);
		if (!node)
			return NULL;
		t = map_object(node, struct tenant, by_name);
		snprintf(tenant, sizeof(tenant), "%s", t->name);
		name = "";
	}
}

static void list_key(const struct container *c, char out[static PAGE_KEY_SIZE])
{
	snprintf(out, PAGE_KEY_SIZE, "%s/%s", c->tenant->name, c->name);
}

static void reply_containers(struct grpc_call *call, struct server *server, const struct page *page,
	const struct tenant *only)
{
	Croft__V1__ListContainersResponse reply = CROFT__V1__LIST_CONTAINERS_RESPONSE__INIT;
	_cleanup_free_ struct container_message *messages = calloc(page->size, sizeof(*messages));
	_cleanup_free_ Croft__V1__Container **list = calloc(
		page->size, sizeof(Croft__V1__Container *));
	char after[PAGE_KEY_SIZE];
	char token[PAGE_TOKEN_SIZE];
	struct container *c = NULL;
	struct err err;

	if (!messages || !list) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	memcpy(after, page->after, sizeof(after));
	while (reply.n_containers < page->size && (c = next_listed(server, only, after))) {
		list_key(c, after);
		if (!c->visible)
			continue;
		convert_container(c, &messages[reply.n_containers]);
		list[reply.n_containers] = &messages[reply.n_containers].msg;
		reply.n_containers++;
	}
	if (c && next_listed(server, only, after))
		reply.next_page_token = (char *)page_token("c", after, token);
	reply.containers = list;
	grpc_reply(call, &reply.base);
}

static void list_containers(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListContainersRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct tenant *only = NULL;
	struct page page;
	struct err err;

	if (page_parse("c", request->page_size, request->page_token, &page, &err) < 0 ||
		(strcmp(request->parent, "tenants/-") != 0 &&
			model_find_tenant(&server->model, request->parent, &only, &err) < 0))
		grpc_fail(call, &err);
	else
		reply_containers(call, server, &page, only);
}

/* --- DeleteContainer --- */

static void store_empty(void *arg, struct db_tx *tx)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct container_op *op = arg;

	mutation_store(op->mutation, tx, &empty.base);
}

static void on_deleted(void *arg, const struct err *err)
{
	struct container_op *op = arg;

	if (err)
		container_op_fail(op, err);
	else
		container_op_reply_empty(op);
}

static void delete_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeleteContainerRequest *request = (const void *)message;
	struct container_op *op = container_op_find(
		call, message, request->request_id, request->name);
	struct actor before;
	struct err err;

	if (!op)
		return;
	if (hold_check_evidence(op->container->tenant, request->force, &err) < 0) {
		container_op_fail(op, &err);
		return;
	}
	before = op->container->stopper;
	if (request->force)
		auth_actor(grpc_call_peer(call), &op->container->stopper);
	if (delete_container(op->server, op->container, request->force, store_empty, on_deleted, op,
		    &err) == 0)
		return;
	op->container->stopper = before;
	container_op_fail(op, &err);
}

const struct grpc_handler svc_containers_handlers[] = {
	{.path = "/croft.v1.Containers/CreateContainer", .start = create_container},
	{.path = "/croft.v1.Containers/LaunchContainer", .start = launch_container},
	{.path = "/croft.v1.Containers/GetContainer", .start = get_container},
	{.path = "/croft.v1.Containers/ListContainers", .start = list_containers},
	{.path = "/croft.v1.Containers/UpdateContainer", .start = container_update},
	{.path = "/croft.v1.Containers/DeleteContainer", .start = delete_handler},
	{.path = "/croft.v1.Containers/CopyContainer", .start = container_copy},
	{.path = "/croft.v1.Containers/RenameContainer", .start = container_rename},
	{.path = "/croft.v1.Containers/RebuildContainer", .start = container_rebuild},
	{.path = NULL},
};
