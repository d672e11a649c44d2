/*
 * One change of a tenant's limits, whoever asks: checked against its containers, applied by the
 * supervisor, then committed. When the commit fails, the old limits are put back.
 */
#include "server/tenant_change.h"

#include "base/log.h"
#include "server/allowance.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/log_quota.h"
#include "server/placer.h"
#include "server/reconcile.h"
#include "server/store.h"
#include "server/tenant_room.h"
#include "server/volume.h"

#include <string.h>

#define EXCHANGE(a, b)                                                                             \
	do {                                                                                       \
		__typeof__(a) held;                                                                \
		_Static_assert(sizeof(a) == sizeof(b), #a " and " #b " differ");                   \
		memcpy(&held, &(a), sizeof(held));                                                 \
		memcpy(&(a), &(b), sizeof(held));                                                  \
		memcpy(&(b), &held, sizeof(held));                                                 \
	} while (0)

/* Exchanges what the tenant is and what the operation holds: forth, and back on failure. */
static void swap(struct tenant_op *op)
{
	struct tenant *t = op->tenant;

	EXCHANGE(op->limits, t->limits);
	EXCHANGE(op->cpus, t->cpus);
	EXCHANGE(op->account_ref, t->account_ref);
	EXCHANGE(op->own_limits, t->own_limits);
	EXCHANGE(op->plan, t->plan);
	EXCHANGE(op->disk_unenforced, t->disk_unenforced);
	EXCHANGE(op->nesting, t->nesting);
	EXCHANGE(op->traffic_reset_day, t->traffic_reset_day);
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
		if (cores_is_auto(&c->limits) && op->limits.value[LIMIT_CPU] == LIMIT_UNSET &&
			c->limits.value[LIMIT_CPU] == LIMIT_UNSET)
			return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD",
				"cpu",
				"%s/%s stands in the way: its cores are auto, which counts by the "
				"tenant's CPU limit; give it one of its own first",
				op->tenant->name, c->name);
		if (container_state_is_live(c->state) && !cores_within(c->cpus, op->cpus) &&
			!tenant_room_can_be_made(op->server, c, op->cpus))
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
	if (!err || strcmp(err->reason, "SUPERVISOR_GONE") != 0)
		reconcile_note_tenant(op->tenant, err);
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
	placer_tenant_changed(op->server, op->tenant);
	reconcile_fill_tenant(op->tenant, true, &msg);
	/* Without a connection it is done with the next one's reconciliation. */
	if (link_send(op->server->link, MSG_TENANT_SET, &msg, NULL, 0, on_put_back, op, &ignored) <
		0)
		tenant_op_fail(op, why);
}

static void on_committed(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct server *server = op->server;
	struct tenant *t = op->tenant;

	if (!err) {
		log_info("tenant-updated tenant=%s", t->name);
		log_quota_enforce(server, t);
		if (memcmp(op->cpus, t->cpus, sizeof(op->cpus)) != 0)
			placer_tenant_changed(server, t);
		placer_wake(server);
		tenant_ref(t);
		tenant_op_reply(op);
		allowance_look(server, t);
		tenant_unref(t);
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
	changes_number(&changes, "traffic_reset_day", op->traffic_reset_day, t->traffic_reset_day);
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
	reconcile_note_tenant(t, NULL);
	run_adopt_tenant(op->server, t, fds, n_fds);
	swap(op);
	tx = db_tx_new();
	store_put_tenant(tx, t);
	add_event(tx, op);
	tenant_op_commit(op, tx, on_committed);
}

/* Containers whose cores are Croft's choice are out of the way. */
static void on_room_made(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct err failure;

	if (err)
		failure = *err;
	if (!err && apply(op, &failure) == 0)
		return;
	/* Some may have been moved together, who now have room again. */
	placer_wake(op->server);
	tenant_op_fail(op, &failure);
}

void tenant_change(struct tenant_op *op)
{
	struct err err;
	int r = cores_resolve_tenant(&op->server->model, placer_cpus(op->server), op->tenant,
		&op->limits, op->cpus, &err);

	if (r == 0)
		r = check_children(op, &err);
	if (r < 0)
		tenant_op_fail(op, &err);
	else
		tenant_room_make(op->server, op->tenant, op->cpus, on_room_made, op);
}
