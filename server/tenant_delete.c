/*
 * Deleting a tenant: with force its containers first, then its directory and quota group, then its
 * rows. Its runs, samples and events stay: they are what it is billed from.
 */
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/network.h"
#include "server/store.h"
#include "server/tenant_op.h"

#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"

#include <string.h>

static void give_up(struct tenant_op *op, const struct err *err)
{
	op->tenant->deleting = false;
	tenant_op_fail(op, err);
}

/* Its network's number is free from here on. */
static void on_all_gone(void *arg)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct tenant_op *op = arg;

	log_info("tenant-deleted tenant=%s", op->tenant->name);
	model_remove_tenant(&op->server->model, op->tenant);
	mutation_reply(op->mutation, &empty.base);
	tenant_op_free(op);
}

static void on_row_deleted(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;

	if (err)
		give_up(op, err);
	else
		network_forget_filter(op->server, op->tenant, on_all_gone, op);
}

static void on_removed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;
	struct details d;
	struct db_tx *tx;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err && err->code != ERR_NOT_FOUND) {
		give_up(op, err);
		return;
	}
	tx = db_tx_new_essential();
	run_end_tenant(tx, t);
	details_init(&d);
	details_text(&d, "uid", t->uid);
	details_text(&d, "account_ref", t->account_ref);
	events_add_tenant(
		tx, t, "tenant.deleted", details_end(&d), "tenant %s was deleted", t->name);
	store_delete_tenant(tx, t);
	mutation_store(op->mutation, tx, &empty.base);
	db_commit(op->server->db, tx, on_row_deleted, op);
}

static void remove_tenant(struct tenant_op *op)
{
	struct msg_tenant msg = {0};
	struct err err;

	memcpy(msg.tenant, op->tenant->name, sizeof(msg.tenant));
	if (link_send(op->server->link, MSG_TENANT_REMOVE, &msg, NULL, 0, on_removed, op, &err) < 0)
		give_up(op, &err);
}

static void on_container_gone(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;

	if (err && !op->failed) {
		op->failed = true;
		op->err = *err;
	}
	if (--op->waiting)
		return;
	if (op->failed)
		give_up(op, &op->err);
	else
		remove_tenant(op);
}

void tenant_delete(struct tenant_op *op)
{
	struct tenant *t = op->tenant;
	struct container *c;
	struct map_node *node;
	struct err err;

	if (t->containers.n && !op->force) {
		err_set(&err, ERR_FAILED_PRECONDITION, "TENANT_NOT_EMPTY",
			"tenant %s has %zu containers; delete them first, or use force", t->name,
			t->containers.n);
		tenant_op_fail(op, &err);
		return;
	}
	t->deleting = true;
	/* One more than there are containers, so that it cannot end inside this loop. */
	op->waiting = 1;
	MAP_FOREACH(node, &t->containers)
	{
		c = map_object(node, struct container, by_name);
		op->waiting++;
		if (delete_container(op->server, c, true, NULL, on_container_gone, op, &err) < 0)
			on_container_gone(op, &err);
	}
	on_container_gone(op, NULL);
}
