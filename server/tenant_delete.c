/*
 * Deleting a tenant: with force what is under way on its behalf first, then its containers, its
 * volumes, its directory and quota group, and its rows. Its runs, samples and events stay: they are
 * what it is billed from.
 */
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/ledger.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/network.h"
#include "server/sampler.h"
#include "server/store.h"
#include "server/tenant_op.h"
#include "server/volume_op.h"
#include "server/work.h"

#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"

#include <event2/event.h>
#include <string.h>

/* Nothing more begins meanwhile, and what there is has been told to end. */
#define WORK_PAUSE_MS 100
#define WORK_TRIES    300

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

	if (err) {
		/* Its rows are open still: another deletion ends them, or who makes it anew. */
		if (!op->tenant->own.key)
			op->tenant->own.key = op->own_run;
		if (!op->tenant->work.key)
			op->tenant->work.key = op->work_run;
		give_up(op, err);
		return;
	}
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
	op->own_run = t->own.key;
	op->work_run = t->work.key;
	run_end_tenant(tx, t);
	work_end(tx, t);
	details_init(&d);
	details_text(&d, "uid", t->uid);
	details_text(&d, "account_ref", t->account_ref);
	events_add_tenant(
		tx, t, "tenant.deleted", details_end(&d), "tenant %s was deleted", t->name);
	store_delete_tenant(tx, t);
	mutation_store(op->mutation, tx, &empty.base);
	db_commit(op->server->db, tx, on_row_deleted, op);
}

static void send_removal(struct tenant_op *op)
{
	struct msg_tenant msg = {0};
	struct err err;

	memcpy(msg.tenant, op->tenant->name, sizeof(msg.tenant));
	if (link_send(op->server->link, MSG_TENANT_REMOVE, &msg, NULL, 0, on_removed, op, &err) < 0)
		give_up(op, &err);
}

static void on_sampled(void *arg, const struct err *err)
{
	if (err)
		give_up(arg, err);
	else
		send_removal(arg);
}

/* Nothing is done for it any more, and its counters go with it: what they say comes first. */
static void remove_tenant(struct tenant_op *op)
{
	struct db_tx *tx = db_tx_new_essential();

	if (sampler_take_tenant(op->server, tx, op->tenant, LEDGER_FINAL)) {
		db_commit(op->server->db, tx, on_sampled, op);
		return;
	}
	db_tx_free(tx);
	send_removal(op);
}

static void end_work(struct tenant_op *op);

static void on_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	end_work(arg);
}

/* Gives up with err in the end. */
static void try_again(struct tenant_op *op, const struct err *err)
{
	static const struct timeval pause = {.tv_usec = WORK_PAUSE_MS * 1000};

	op->failed = false;
	if (++op->tries >= WORK_TRIES ||
		event_base_once(op->server->base, -1, EV_TIMEOUT, on_pause, op, &pause) < 0)
		give_up(op, err);
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
	if (!op->failed)
		return true;
	/* Some have what they hold for a moment longer. */
	if (op->force && !strcmp(op->err.reason, "CONTAINER_BUSY"))
		try_again(op, &op->err);
	else
		give_up(op, &op->err);
	return false;
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

static void drop_containers(struct tenant_op *op)
{
	struct map_node *node;
	struct container *c;
	struct err err;

	/* One more than there are containers, so that it cannot end inside this loop. */
	op->waiting = 1;
	MAP_FOREACH(node, &op->tenant->containers)
	{
		c = map_object(node, struct container, by_name);
		op->waiting++;
		if (delete_container(op->server, c, true, NULL, on_container_gone, op, &err) < 0)
			on_container_gone(op, &err);
	}
	on_container_gone(op, NULL);
}

static void on_work_ended(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_work_left *work = reply;
	struct tenant_op *op = arg;
	struct err busy;

	link_close_fds(fds, n_fds);
	if (err) {
		give_up(op, err);
	} else if (work->left) {
		err_set(&busy, ERR_ABORTED, "TENANT_BUSY",
			"what is under way on behalf of tenant %s does not end; try again",
			op->tenant->name);
		try_again(op, &busy);
	} else {
		drop_containers(op);
	}
}

static void end_work(struct tenant_op *op)
{
	struct msg_tenant msg = {0};
	struct err err;

	memcpy(msg.tenant, op->tenant->name, sizeof(msg.tenant));
	if (link_send(op->server->link, MSG_WORK_END, &msg, NULL, 0, on_work_ended, op, &err) < 0)
		give_up(op, &err);
}

void tenant_delete(struct tenant_op *op)
{
	struct err err;

	if (!op->force && check_empty(op->tenant, &err) < 0) {
		tenant_op_fail(op, &err);
		return;
	}
	op->tenant->deleting = true;
	if (op->force)
		end_work(op);
	else
		drop_containers(op);
}
