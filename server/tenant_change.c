/*
 * One change of a tenant's limits, whoever asks: checked against its containers, applied by the
 * supervisor, then committed. When the commit fails, the old limits are put back.
 */
#include "server/tenant_change.h"

#include "base/log.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/log_quota.h"
#include "server/reconcile.h"
#include "server/store.h"
#include "server/volume.h"

#include <string.h>

/* Exchanges what the tenant is and what the operation holds: forth, and back on failure. */
static void swap(struct tenant_op *op)
{
	struct tenant *t = op->tenant;
	struct tenant_op before = *op;

	op->limits = t->limits;
	memcpy(op->cpus, t->cpus, sizeof(op->cpus));
	memcpy(op->account_ref, t->account_ref, sizeof(op->account_ref));
	op->own_limits = t->own_limits;
	memcpy(op->plan, t->plan, sizeof(op->plan));
	op->disk_unenforced = t->disk_unenforced;
	op->nesting = t->nesting;
	t->limits = before.limits;
	memcpy(t->cpus, before.cpus, sizeof(t->cpus));
	memcpy(t->account_ref, before.account_ref, sizeof(t->account_ref));
	t->own_limits = before.own_limits;
	memcpy(t->plan, before.plan, sizeof(t->plan));
	t->disk_unenforced = before.disk_unenforced;
	t->nesting = before.nesting;
}

/* What whoever lowers a tenant's limit can do about a container in the way. */
static int check_child(const struct container *c, const struct limits *tenant, struct err *err)
{
	enum limit_id id = limits_first_above(&c->limits, tenant);
	char has[LIMIT_TEXT_MAX];
	struct err inner;

	if (id != LIMIT_N)
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD",
			limit_rule(id)->name,
			"%s/%s stands in the way: its %s limit is %s; make that less first",
			c->tenant->name, c->name, limit_rule(id)->name,
			limit_format(id, c->limits.value[id], has));
	if (limits_check_within(&c->limits, tenant, &inner) < 0)
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD",
			inner.subject, "%s/%s stands in the way: %.200s; change its cores first",
			c->tenant->name, c->name, inner.msg);
	return 0;
}

/* A tenant's limit may not fall below one of a container's, running or not, or of a volume's. */
static int check_children(const struct tenant_op *op, struct err *err)
{
	struct limits effective = op->limits;
	struct map_node *node;

	memcpy(effective.core_mask, op->cpus, sizeof(effective.core_mask));
	if (!cores_empty(op->cpus))
		effective.value[LIMIT_CORES] = LIMIT_UNSET;
	MAP_FOREACH(node, &op->tenant->containers)
	{
		const struct container *c = map_object(node, struct container, by_name);
		int r = check_child(c, &effective, err);

		if (r < 0)
			return r;
		if (container_state_is_live(c->state) && !cores_within(c->cpus, op->cpus))
			return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD",
				"cores",
				"%s/%s runs on cores that the tenant would lose; change its "
				"cores or stop it first",
				op->tenant->name, c->name);
	}
	return volume_check_tenant(op->tenant, &effective, err);
}

static void on_put_back(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct tenant_op *op = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err)
		log_error("tenant-not-put-back tenant=%s error=\"%s\"", op->tenant->name, err->msg);
	tenant_op_fail(op, &op->err);
}

/*
 * The tenant is as it was: so are its limits to be, of which some may have been changed. Only then
 * is the failure told, and the tenant let go: another change must not be overtaken by this.
 */
static void put_back(struct tenant_op *op, const struct err *why)
{
	struct msg_tenant_set msg;
	struct err ignored;

	op->err = *why;
	reconcile_fill_tenant(op->tenant, true, &msg);
	/* Without a connection it is done with the next one's reconciliation. */
	if (link_send(op->server->link, MSG_TENANT_SET, &msg, NULL, 0, on_put_back, op, &ignored) <
		0)
		tenant_op_fail(op, why);
}

static void on_committed(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;

	if (!err) {
		log_info("tenant-updated tenant=%s", op->tenant->name);
		log_quota_enforce(op->server, op->tenant);
		tenant_op_reply(op);
		return;
	}
	swap(op);
	put_back(op, err);
}

/* op holds what the tenant was. An update to what it is already is no event. */
static void add_event(struct db_tx *tx, const struct tenant_op *op)
{
	const struct tenant *t = op->tenant;
	struct changes changes;

	changes_init(&changes);
	changes_text(&changes, "plan", op->plan, t->plan);
	changes_limits(&changes, &op->limits, &t->limits);
	changes_cores(&changes, op->cpus, t->cpus);
	changes_text(&changes, "account_ref", op->account_ref, t->account_ref);
	changes_bool(&changes, "nesting", op->nesting, t->nesting);
	if (changes.n)
		events_add_tenant(tx, t, "tenant.updated", changes_end(&changes),
			"tenant %s was changed: %s", t->name, changes.text);
}

static void on_set(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds);

static int apply(struct tenant_op *op, struct err *err)
{
	struct msg_tenant_set msg;

	/* The message is made from the tenant as it is to be. */
	swap(op);
	reconcile_fill_tenant(op->tenant, op->force, &msg);
	swap(op);
	return link_send(op->server->link, MSG_TENANT_SET, &msg, NULL, 0, on_set, op, err);
}

static void refused(struct tenant_op *op, const struct err *err)
{
	struct err failure = *err;

	/* Nobody asked for the plan's disk limit, so a pool without limits is no refusal. */
	if (!strcmp(err->reason, "DISK_LIMIT_UNSUPPORTED") &&
		!(op->own_limits & (1u << LIMIT_DISK)) && !op->disk_unenforced) {
		op->disk_unenforced = true;
		if (apply(op, &failure) == 0)
			return;
	}
	put_back(op, &failure);
}

static void on_set(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;
	struct db_tx *tx;

	(void)reply;
	if (err) {
		link_close_fds(fds, n_fds);
		refused(op, err);
		return;
	}
	run_adopt_tenant(op->server, t, fds, n_fds);
	swap(op);
	tx = db_tx_new();
	store_put_tenant(tx, t);
	add_event(tx, op);
	tenant_op_commit(op, tx, on_committed);
}

void tenant_change(struct tenant_op *op)
{
	struct err err;
	int r = cores_resolve_tenant(&op->server->model, op->server->host.cpu_mask, op->tenant,
		&op->limits, op->cpus, &err);

	if (r == 0)
		r = check_children(op, &err);
	if (r == 0)
		r = apply(op, &err);
	if (r < 0)
		tenant_op_fail(op, &err);
}
