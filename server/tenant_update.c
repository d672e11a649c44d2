/*
 * Changing a tenant's limits live: checked against its containers, applied by the supervisor, then
 * committed. When the commit fails, the old limits are put back.
 */
#include "server/tenant_update.h"

#include "base/log.h"
#include "server/convert.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/events.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/reconcile.h"
#include "server/store.h"
#include "server/tenant_op.h"

#include <stdio.h>
#include <string.h>

int tenant_check_text(const char *field, const char *text, size_t max, struct err *err)
{
	size_t len = strlen(text);

	if (len > max)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TEXT_INVALID", field,
			"%s is longer than %zu bytes", field, max);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "TEXT_INVALID", field,
				"%s has control characters", field);
	return 0;
}

/* Exchanges what the tenant is and what the operation holds: forth, and back on failure. */
static void swap(struct tenant_op *op)
{
	struct tenant *t = op->tenant;
	struct tenant_op before = *op;

	op->limits = t->limits;
	memcpy(op->cpus, t->cpus, sizeof(op->cpus));
	memcpy(op->account_ref, t->account_ref, sizeof(op->account_ref));
	op->disk_by_plan = t->disk_by_plan;
	op->disk_unenforced = t->disk_unenforced;
	t->limits = before.limits;
	memcpy(t->cpus, before.cpus, sizeof(t->cpus));
	memcpy(t->account_ref, before.account_ref, sizeof(t->account_ref));
	t->disk_by_plan = before.disk_by_plan;
	t->disk_unenforced = before.disk_unenforced;
}

/* A tenant's limit may not fall below one of a container's, running or not. */
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
		struct err inner;

		if (limits_check_within(&c->limits, &effective, &inner) < 0)
			return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD",
				inner.subject, "%s/%s stands in the way: %.250s", op->tenant->name,
				c->name, inner.msg);
		if (container_state_is_live(c->state) && !cores_within(c->cpus, op->cpus))
			return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD",
				"cores",
				"%s/%s runs on cores that the tenant would lose; change its "
				"cores or stop it first",
				op->tenant->name, c->name);
	}
	return 0;
}

/* Also for what it has already: a limit that is asked for is held or refused. */
static bool asks_for_disk(const Croft__V1__UpdateTenantRequest *request)
{
	const Google__Protobuf__FieldMask *mask = request->update_mask;

	if (!request->tenant->limits || !request->tenant->limits->disk_bytes)
		return false;
	for (size_t i = 0; mask && i < mask->n_paths; i++)
		if (!strcmp(mask->paths[i], "limits") ||
			!strcmp(mask->paths[i], convert_limit_path(LIMIT_DISK)))
			return true;
	return !mask || !mask->n_paths;
}

static int fill(
	struct tenant_op *op, const Croft__V1__UpdateTenantRequest *request, struct err *err)
{
	static const char *const others[] = {"account_ref", NULL};
	Google__Protobuf__FieldMask *mask = request->update_mask;
	struct tenant *t = op->tenant;
	bool same_disk;
	unsigned bits;
	int r;

	op->limits = t->limits;
	memcpy(op->account_ref, t->account_ref, sizeof(op->account_ref));
	r = convert_limits_update(request->tenant->limits, mask ? mask->paths : NULL,
		mask ? mask->n_paths : 0, true, others, &op->limits, &bits, err);
	if (r == 0 && (bits & 1)) {
		r = tenant_check_text(
			"account_ref", request->tenant->account_ref, ACCOUNT_REF_MAX, err);
		if (r == 0)
			snprintf(op->account_ref, sizeof(op->account_ref), "%s",
				request->tenant->account_ref);
	}
	if (r < 0)
		return r;
	same_disk = !asks_for_disk(request) &&
		    op->limits.value[LIMIT_DISK] == t->limits.value[LIMIT_DISK];
	op->disk_by_plan = t->disk_by_plan && same_disk;
	op->disk_unenforced = t->disk_unenforced && same_disk;
	r = cores_resolve_tenant(
		&op->server->model, op->server->host.cpu_mask, t, &op->limits, op->cpus, err);
	return r < 0 ? r : check_children(op, err);
}

/* The tenant is as it was: so are its limits to be, of which some may have been changed. */
static void put_back(struct tenant_op *op)
{
	struct msg_tenant_set msg;
	struct err ignored;

	reconcile_fill_tenant(op->tenant, true, &msg);
	link_send(op->server->link, MSG_TENANT_SET, &msg, NULL, 0, NULL, NULL, &ignored);
}

static void on_committed(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;

	if (!err) {
		log_info("tenant-updated tenant=%s", op->tenant->name);
		tenant_op_reply(op);
		return;
	}
	swap(op);
	put_back(op);
	tenant_op_fail(op, err);
}

/* op holds what the tenant was. An update to what it is already is no event. */
static void add_event(struct db_tx *tx, const struct tenant_op *op)
{
	const struct tenant *t = op->tenant;
	struct changes changes;

	changes_init(&changes);
	changes_limits(&changes, &op->limits, &t->limits);
	changes_cores(&changes, op->cpus, t->cpus);
	changes_text(&changes, "account_ref", op->account_ref, t->account_ref);
	if (changes.n)
		events_add_tenant(tx, t, "tenant.updated", changes_end(&changes),
			"tenant %s was changed: %s", t->name, changes.text);
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
		put_back(op);
		tenant_op_fail(op, err);
		return;
	}
	run_adopt_tenant(op->server, t, fds, n_fds);
	swap(op);
	tx = db_tx_new();
	store_put_tenant(tx, t);
	add_event(tx, op);
	tenant_op_commit(op, tx, on_committed);
}

static int apply(struct tenant_op *op, struct err *err)
{
	struct msg_tenant_set msg;

	/* The message is made from the tenant as it is to be. */
	swap(op);
	reconcile_fill_tenant(op->tenant, op->force, &msg);
	swap(op);
	return link_send(op->server->link, MSG_TENANT_SET, &msg, NULL, 0, on_set, op, err);
}

void tenant_update(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__UpdateTenantRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct tenant_op *op;
	struct tenant *t;
	struct err err;
	int r;

	if (!m)
		return;
	r = request->tenant ? model_find_tenant(&m->server->model, request->tenant->name, &t, &err)
			    : err_set_subject(&err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "tenant",
				      "the request names no tenant");
	if (r < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	op->force = request->force;
	r = fill(op, request, &err);
	if (r == 0)
		r = apply(op, &err);
	if (r < 0)
		tenant_op_fail(op, &err);
}
