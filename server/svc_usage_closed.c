/* Usage.ListClosedUsage: what is new since a cursor, as fast as the client takes it. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/grpc_turns.h"
#include "server/record_message.h"
#include "server/server.h"
#include "server/usage_cursor.h"

#include "croft/v1/usage.pb-c.h"

#include <string.h>

struct listing {
	struct turns turns; /* pending: the database's thread reads into `closed` */
	struct server *server;
	struct usage_closed closed;
	size_t sent; /* of this step's entries */
};

static void listing_free(struct turns *turns)
{
	free(turns);
}

static size_t last_meter(const struct ledger_entry *entry)
{
	size_t last = 0;

	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (ledger_entry_has(entry, m))
			last = m;
	return last;
}

/* Whoever stops in the middle of an entry has its records again. */
static int send_entry(struct listing *l, size_t i, struct err *err)
{
	const struct ledger_entry *entry = &l->closed.entries[i];
	size_t last = last_meter(entry);
	char hash[LEDGER_HASH_SIZE];
	char cursor[USAGE_CURSOR_SIZE];

	memcpy(hash, entry->prev_hash, sizeof(hash));
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		Croft__V1__ClosedUsage out = CROFT__V1__CLOSED_USAGE__INIT;
		struct record_message record;
		int r;

		if (!ledger_entry_has(entry, m))
			continue;
		r = record_message_fill(entry, m, true, hash, &record, err);
		if (r < 0)
			return r;
		out.record = &record.msg;
		if (m == last)
			out.cursor = (char *)usage_cursor_format(
				entry->number, l->closed.hashes[i], cursor);
		grpc_send(l->turns.call, &out.base);
		memcpy(hash, record.record.hash, sizeof(hash));
	}
	return 0;
}

static void on_step(void *arg, const struct err *err);

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct listing *l = arg;

	return usage_closed_step(db, &l->closed, err);
}

static void go_on(struct turns *turns)
{
	struct listing *l = (struct listing *)turns;
	struct err err;

	while (l->sent < l->closed.n_entries) {
		if (!grpc_call_writable(turns->call))
			return;
		if (send_entry(l, l->sent, &err) < 0) {
			turns_fail(turns, &err);
			return;
		}
		l->sent++;
	}
	if (l->closed.done) {
		turns_finish(turns);
		return;
	}
	turns->pending = true;
	db_read(l->server->db, read_step, on_step, l);
}

static void on_step(void *arg, const struct err *err)
{
	struct listing *l = arg;

	l->sent = 0;
	if (turns_back(&l->turns, err))
		go_on(&l->turns);
}

static void list_closed(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListClosedUsageRequest *request = (const void *)message;
	struct listing *l = calloc(1, sizeof(*l));
	struct err err;

	if (!l) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	l->turns.go_on = go_on;
	l->turns.free = listing_free;
	l->server = grpc_call_app(call);
	turns_begin(&l->turns, call);
	if (usage_cursor_parse(request->after, &l->closed.cursor, &err) < 0)
		turns_fail(&l->turns, &err);
	else
		go_on(&l->turns);
}

const struct grpc_handler svc_usage_closed_handlers[] = {
	{.path = "/croft.v1.Usage/ListClosedUsage",
		.start = list_closed,
		.writable = turns_writable,
		.cancelled = turns_cancelled},
	{.path = NULL},
};
