/*
 * PublishSnapshot: a new image from a snapshot laid over the image it was made from. Its name is on
 * record as an import's before the supervisor hears of it, so that a crash leaves nothing of it
 * (import_undo.c).
 */
#include "server/snapshot_publish.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "croft/v1/snapshots.pb-c.h"
#include "server/container_files.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/import.h"
#include "server/link.h"
#include "server/mutation.h"
#include "server/snapshot.h"
#include "server/store.h"

#include <stdlib.h>
#include <string.h>

struct publish {
	struct server *server;
	struct mutation *mutation;
	struct container *container; /* a reference, held */
	struct snapshot *snapshot;
	struct image *image; /* in the model, not visible */
	struct err err;	     /* it is being undone */
};

static void publish_free(struct publish *p)
{
	p->container->changing = false;
	container_unref(p->container);
	free(p);
}

static void on_undone(void *arg)
{
	struct publish *p = arg;

	mutation_fail(p->mutation, &p->err);
	publish_free(p);
}

/* Something of it may be there: until that is gone, its name is taken. */
static void fail(struct publish *p, const struct err *err, bool undo)
{
	p->err = *err;
	if (undo) {
		import_undo(p->server, p->image, on_undone, p);
		return;
	}
	import_forget(p->server, p->image);
	on_undone(p);
}

static void on_committed(void *arg, const struct err *err)
{
	struct publish *p = arg;
	struct image_message out;

	if (err) {
		fail(p, err, true);
		return;
	}
	p->image->visible = true;
	log_info("image-published image=%s tenant=%s container=%s snapshot=%s", p->image->name,
		p->container->tenant->name, p->container->name, p->snapshot->name);
	mutation_reply(p->mutation, convert_image(&p->server->model, p->image, &out));
	publish_free(p);
}

static void add_event(struct db_tx *tx, const struct publish *p)
{
	const struct container *c = p->container;
	struct details d;

	details_init(&d);
	details_text(&d, "uid", p->image->uid);
	details_text(&d, "tenant", c->tenant->name);
	details_text(&d, "container", c->name);
	details_text(&d, "snapshot", p->snapshot->name);
	details_number(&d, "size_bytes", p->image->size_bytes);
	details_number(&d, "entries", p->image->entries);
	events_add_image(tx, p->image, "image.published", details_end(&d),
		"image %s was made of %s/%s, snapshot %s", p->image->name, c->tenant->name, c->name,
		p->snapshot->name);
}

static void on_published(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_image_imported *made = reply;
	struct publish *p = arg;
	struct image_message out;
	struct err failure;
	struct db_tx *tx;
	const struct image *base;

	link_close_fds(fds, n_fds);
	if (err) {
		fail(p, err, true);
		return;
	}
	/* It starts and stops as what it was made from. */
	base = container_base(&p->server->model, p->container, p->snapshot->image);
	if (image_copy_start(p->image, base, &failure) < 0) {
		fail(p, &failure, true);
		return;
	}
	p->image->created_wall_usec = clock_wall_usec();
	p->image->size_bytes = made->report.bytes;
	p->image->entries = made->report.entries;
	tx = db_tx_new();
	store_put_image(tx, p->image);
	store_delete_import(tx, p->image->name);
	add_event(tx, p);
	mutation_store(p->mutation, tx, convert_image(&p->server->model, p->image, &out));
	db_commit(p->server->db, tx, on_committed, p);
}

static void on_recorded(void *arg, const struct err *err)
{
	struct publish *p = arg;
	const struct container *c = p->container;
	struct msg_publish msg = {0};
	struct err failure;

	if (err) {
		fail(p, err, false);
		return;
	}
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	memcpy(msg.snapshot, p->snapshot->name, sizeof(msg.snapshot));
	memcpy(msg.base, p->snapshot->image, sizeof(msg.base));
	memcpy(msg.image, p->image->name, sizeof(msg.image));
	if (link_send(p->server->link, MSG_SNAPSHOT_PUBLISH, &msg, NULL, 0, on_published, p,
		    &failure) < 0)
		fail(p, &failure, false);
}

static int check(struct server *server, const Croft__V1__PublishSnapshotRequest *request,
	struct snapshot **ret, struct err *err)
{
	const struct image *base;
	int r = snapshot_find(&server->model, request->name, ret, err);

	if (r == 0)
		r = container_check_free((*ret)->container, err);
	if (r == 0)
		r = import_check_name(server, request->image_id, err);
	if (r < 0)
		return r;
	base = container_base(&server->model, (*ret)->container, (*ret)->image);
	if ((*ret)->dropping || !base || !base->visible)
		return err_set(err, ERR_FAILED_PRECONDITION, "SNAPSHOT_DELETING",
			"snapshot %s is being deleted, or its image is gone", (*ret)->name);
	return 0;
}

void snapshot_publish(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__PublishSnapshotRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct snapshot *s = NULL;
	struct publish *p;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (check(m->server, request, &s, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p)
		p->image = model_add_image(&m->server->model, request->image_id);
	if (!p || !p->image) {
		free(p);
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	p->server = m->server;
	p->mutation = m;
	p->container = container_ref(s->container);
	p->container->changing = true;
	p->snapshot = s;
	tx = db_tx_new();
	store_put_import(tx, p->image->name);
	db_commit(m->server->db, tx, on_recorded, p);
}
