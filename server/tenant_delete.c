/*
 * Deleting a tenant: with force its containers first, then its volumes, then its directory and
 * quota group, then its rows. Its runs, samples and events stay: they are what it is billed from.
 */
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/network.h"
#include "server/store.h"
#include "server/tenant_op.h"
#include "server/volume_op.h"

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

/* False while others are waited for, or when it has failed and is given up. */
static bool all_gone(struct tenant_op *op, const struct err *err)
{
	if (err && !op->failed) {
		op->failed = true;
		op->err = *err;
	}
	if (--op->waiting)
		return false;
	if (op->failed)
		give_up(op, &op->err);
	return !op->failed;
}

static void on_volume_gone(void *arg, const struct err *err)
{
	if (all_gone(arg, err))
		remove_tenant(arg);
}

/* Nobody has them any more. */
static void drop_volumes(struct tenant_op *op)
{
	struct map_node *node;
	struct err err;

	op->waiting = 1;
	MAP_FOREACH(node, &op->tenant->volumes)
	{
		struct volume *v = map_object(node, struct volume, by_name);
		struct volume_op *drop = volume_op_new(op->server, NULL, v, &err);

		op->waiting++;
		if (!drop) {
			on_volume_gone(op, &err);
			continue;
		}
		drop->done = on_volume_gone;
		drop->arg = op;
		volume_drop(drop);
	}
	on_volume_gone(op, NULL);
}

static void on_container_gone(void *arg, const struct err *err)
{
	if (all_gone(arg, err))
		drop_volumes(arg);
}

static int check_empty(const struct tenant *t, struct err *err)
{
	const char *what = t->containers.n ? "container" : "volume";
	size_t n = t->containers.n ? t->containers.n : t->volumes.n;

	if (!n)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_NOT_EMPTY",
		"tenant %s has %zu %s%s; delete %s first, or use force", t->name, n, what,
		n == 1 ? "" : "s", n == 1 ? "it" : "them");
}

void tenant_delete(struct tenant_op *op)
{
	struct tenant *t = op->tenant;
	struct container *c;
	struct map_node *node;
	struct err err;

	if (!op->force && check_empty(t, &err) < 0) {
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
