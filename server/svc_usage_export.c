/* Usage.ExportUsage: the records behind a bill, as fast as the client takes them. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/grpc_turns.h"
#include "server/ledger.h"
#include "server/record_message.h"
#include "server/sampler.h"
#include "server/usage_sums.h"

#include "croft/v1/usage.pb-c.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct export
{
	/* pending: a sweep is waited for, or the database's thread reads into the cursor */
	struct turns turns;
	struct server *server;
	struct export_cursor cursor;
	size_t sent; /* of this step's items */
};

static void export_free(struct turns *turns)
{
	struct export *e = (struct export *)turns;

	export_cursor_finish(&e->cursor);
	free(e);
}

/* Sends one of an entry's records; prev_hash becomes that of the record. */
static int send_record(struct export *e, const struct export_item *item, size_t meter,
	char prev_hash[static LEDGER_HASH_SIZE], struct err *err)
{
	struct record_message out;
	int r = record_message_fill(&item->entry, meter, item->final, prev_hash, &out, err);

	if (r < 0)
		return r;
	grpc_send(e->turns.call, &out.msg.base);
	memcpy(prev_hash, out.record.hash, LEDGER_HASH_SIZE);
	return 0;
}

static int send_item(struct export *e, const struct export_item *item, struct err *err)
{
	char hash[LEDGER_HASH_SIZE];
	int r = 0;

	memcpy(hash, item->entry.prev_hash, sizeof(hash));
	for (size_t m = 0; r == 0 && m < LEDGER_METERS; m++)
		if (ledger_entry_has(&item->entry, m))
			r = send_record(e, item, m, hash, err);
	return r;
}

static void export_go_on(struct turns *turns);

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct export *e = arg;

	return export_step(db, &e->cursor, err);
}

static void on_step(void *arg, const struct err *err)
{
	struct export *e = arg;

	e->sent = 0;
	if (turns_back(&e->turns, err))
		export_go_on(&e->turns);
}

/* Sends as much as the client takes, then reads the next step. */
static void export_go_on(struct turns *turns)
{
	struct export *e = (struct export *)turns;
	struct err err;

	while (e->sent < e->cursor.n_items) {
		if (!grpc_call_writable(turns->call))
			return;
		if (send_item(e, &e->cursor.items[e->sent], &err) < 0) {
			turns_fail(turns, &err);
			return;
		}
		e->sent++;
	}
	if (e->cursor.phase == EXPORT_DONE) {
		turns_finish(turns);
		return;
	}
	turns->pending = true;
	db_read(e->server->db, read_step, on_step, e);
}

/* to_wall_usec stays 0 where it is the present, whichever that will be. */
static int fill_export(struct export *e, const Croft__V1__ExportUsageRequest *request,
	struct tenant **ret_tenant, struct err *err)
{
	int r = auth_scope(
		e->server, grpc_call_peer(e->turns.call), request->tenant, ret_tenant, err);

	if (r == 0)
		r = usage_period_read(request->from, request->to, &e->cursor, err);
	if (r < 0)
		return r;
	if (*ret_tenant)
		memcpy(e->cursor.tenant_uid, (*ret_tenant)->uid, sizeof(e->cursor.tenant_uid));
	e->cursor.gap_usec = ledger_gap_usec(e->server);
	gethostname(e->cursor.host, sizeof(e->cursor.host) - 1);
	return 0;
}

static void on_caught_up(void *arg, const struct err *err)
{
	struct export *e = arg;

	usage_period_until_now(&e->cursor);
	on_step(e, err);
}

static void export_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ExportUsageRequest *request = (const void *)message;
	struct export *e = calloc(1, sizeof(*e));
	struct tenant *t;
	struct err err;
	int r;

	if (!e) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	e->turns.go_on = export_go_on;
	e->turns.free = export_free;
	e->server = grpc_call_app(call);
	turns_begin(&e->turns, call);
	r = fill_export(e, request, &t, &err);
	if (r == 0 && usage_period_is_past(&e->cursor)) {
		export_go_on(&e->turns);
		return;
	}
	e->turns.pending = true;
	if (r == 0)
		r = sampler_catch_up(e->server, t, on_caught_up, e, &err);
	if (r < 0)
		turns_fail(&e->turns, &err);
}

const struct grpc_handler svc_usage_export_handlers[] = {
	{.path = "/croft.v1.Usage/ExportUsage",
		.start = export_usage,
		.writable = turns_writable,
		.cancelled = turns_cancelled},
	{.path = NULL},
};
