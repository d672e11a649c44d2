/* The service Snapshots. How they are made and removed is in snapshot_op.c. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/container_files.h"
#include "server/container_new.h"
#include "server/container_pending.h"
#include "server/convert_snapshot.h"
#include "server/hold.h"
#include "server/page.h"
#include "server/snapshot_op.h"
#include "server/snapshot_publish.h"
#include "server/snapshot_schedule.h"

#include <string.h>

/* --- CreateSnapshot --- */

static void create_snapshot(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CreateSnapshotRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct snapshot_op *op = NULL;
	struct container *c;
	int64_t expire_s;
	struct err err;
	int r;

	if (!m)
		return;
	r = model_find_container(&m->server->model, request->parent, &c, &err);
	if (r == 0)
		r = auth_check_work(grpc_call_peer(call), c->tenant, &err);
	if (r == 0)
		r = snapshot_check_new(c, request->snapshot_id, &err);
	if (r == 0)
		r = snapshot_expire_read(request->expire, &expire_s, &err);
	if (r == 0)
		op = snapshot_op_new(m->server, m, c, &err);
	if (!op) {
		mutation_fail(m, &err);
		return;
	}
	op->snapshot = snapshot_add(c, request->snapshot_id);
	r = op->snapshot ? snapshot_describe(op->snapshot, &err) : err_oom(&err);
	if (r == 0) {
		if (expire_s)
			op->snapshot->expire_wall_usec = op->snapshot->created_wall_usec +
							 expire_s * 1000000;
		snapshot_make(op);
		return;
	}
	if (op->snapshot)
		snapshot_remove(op->snapshot);
	snapshot_op_free(op);
	mutation_fail(m, &err);
}

/* --- GetSnapshot, ListSnapshots --- */

static void get_snapshot(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetSnapshotRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct snapshot_message out;
	struct snapshot *s;
	struct err err;

	if (snapshot_find(&server->model, request->name, &s, &err) < 0)
		grpc_fail(call, &err);
	else
		grpc_reply(call, convert_snapshot(s, &out));
}

static void reply_snapshots(
	struct grpc_call *call, const struct container *c, const struct page *page)
{
	Croft__V1__ListSnapshotsResponse reply = CROFT__V1__LIST_SNAPSHOTS_RESPONSE__INIT;
	_cleanup_free_ struct snapshot_message *messages = calloc(page->size, sizeof(*messages));
	_cleanup_free_ Croft__V1__Snapshot **list = calloc(
		page->size, sizeof(Croft__V1__Snapshot *));
	const char *after = page->after;
	char token[PAGE_TOKEN_SIZE];
	struct map_node *node = NULL;
	struct err err;

	if (!messages || !list) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	while (reply.n_snapshots < page->size && (node = map_after(&c->snapshots, after))) {
		struct snapshot *s = map_object(node, struct snapshot, by_name);

		after = s->name;
		if (!s->visible)
			continue;
		convert_snapshot(s, &messages[reply.n_snapshots]);
		list[reply.n_snapshots] = &messages[reply.n_snapshots].msg;
		reply.n_snapshots++;
	}
	if (node && map_after(&c->snapshots, after))
		reply.next_page_token = (char *)page_token("s", after, token);
	reply.snapshots = list;
	grpc_reply(call, &reply.base);
}

static void list_snapshots(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListSnapshotsRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct container *c;
	struct page page;
	struct err err;

	if (page_parse("s", request->page_size, request->page_token, &page, &err) < 0 ||
		model_find_container(&server->model, request->parent, &c, &err) < 0)
		grpc_fail(call, &err);
	else
		reply_snapshots(call, c, &page);
}

/* --- DeleteSnapshot --- */

static void delete_snapshot(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeleteSnapshotRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct snapshot_op *op = NULL;
	struct snapshot *s;
	struct err err;

	if (!m)
		return;
	if (snapshot_find(&m->server->model, request->name, &s, &err) == 0 &&
		hold_check_evidence(s->container->tenant, request->force, &err) == 0)
		op = snapshot_op_new(m->server, m, s->container, &err);
	if (!op) {
		mutation_fail(m, &err);
		return;
	}
	op->snapshot = s;
	snapshot_drop(op);
}

/* --- RestoreSnapshot --- */

static int check_restore(
	struct server *server, const struct snapshot *s, struct container *c, struct err *err)
{
	const struct image *image = container_base(&server->model, c, s->image);

	if (s->dropping)
		return err_set(err, ERR_FAILED_PRECONDITION, "SNAPSHOT_DELETING",
			"snapshot %s of %s/%s is being deleted", s->name, c->tenant->name, c->name);
	if (container_check_stopped(c, err) < 0)
		return -EBUSY;
	if (!image || !image->visible || image->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_NOT_FOUND",
			"its image %s is gone", s->image);
	return 0;
}

static void restore_snapshot(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__RestoreSnapshotRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct container_op *op;
	struct limits limits;
	struct snapshot *s;
	struct err err;

	if (!m)
		return;
	if (snapshot_find(&m->server->model, request->name, &s, &err) < 0 ||
		auth_check_work(grpc_call_peer(call), s->container->tenant, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = container_op_begin(m, s->container);
	if (!op)
		return;
	snapshot_limits(s, &limits);
	if (check_restore(m->server, s, s->container, &err) < 0 ||
		hold_check_evidence(s->container->tenant, request->force, &err) < 0 ||
		container_op_hold(op, &err) < 0 ||
		auth_count_change(grpc_call_peer(call), s->container, &limits, &err) < 0)
		container_op_fail(op, &err);
	else
		container_pending_restore(op, s);
}

const struct grpc_handler svc_snapshots_handlers[] = {
	{.path = "/croft.v1.Snapshots/CreateSnapshot", .start = create_snapshot},
	{.path = "/croft.v1.Snapshots/GetSnapshot", .start = get_snapshot},
	{.path = "/croft.v1.Snapshots/ListSnapshots", .start = list_snapshots},
	{.path = "/croft.v1.Snapshots/DeleteSnapshot", .start = delete_snapshot},
	{.path = "/croft.v1.Snapshots/RestoreSnapshot", .start = restore_snapshot},
	{.path = "/croft.v1.Snapshots/PublishSnapshot", .start = snapshot_publish},
	{.path = NULL},
};
