/*
 * The service Events. Old and new events take the same way: from the table, after the cursor. So a
 * follower sees each exactly once, in order, however it joins.
 */
#include "server/event_feed.h"
#include "server/svc.h"

#include "server/auth.h"
#include "server/details.h"
#include "server/event_row.h"
#include "server/grpc_turns.h"

#include "croft/v1/events.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_PER_STEP 64

struct listing {
	struct turns turns; /* pending: the database's thread reads into it */
	struct server *server;
	struct event_watch watch; /* listed when `follow` is */
	uint64_t after;
	bool follow;
	bool is_operator;
	char tenant_uid[UID_SIZE]; /* "": all */
	char tenant[NAME_SIZE];
	uint64_t dropped; /* some up to this number were dropped, as the last read has found */
	uint64_t told;	  /* as the client knows */
	bool begun;	  /* the cursor is one that the record has given */
	bool wanted;	  /* there is more to be read, or may be */
	struct event_row *rows; /* while some of them are to be sent */
	size_t n_rows;
	size_t sent;
};

static void drop_rows(struct listing *l)
{
	for (size_t i = 0; i < l->n_rows; i++)
		free(l->rows[i].details);
	free(l->rows);
	l->rows = NULL;
	l->n_rows = 0;
	l->sent = 0;
}

static void listing_free(struct turns *turns)
{
	struct listing *l = (struct listing *)turns;

	if (l->follow)
		event_feed_remove(&l->watch);
	drop_rows(l);
	free(l);
}

static int take_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct listing *l = arg;
	int r = event_row_take(row, l->is_operator, &l->rows[l->n_rows], err);

	if (r == 0)
		l->n_rows++;
	return r;
}

/* Whoever waited behind a number that is yet to come would never hear of those before it. */
static int check_cursor(struct db *db, struct listing *l, struct err *err)
{
	uint64_t last;
	int r = event_row_read_last(db, &last, err);

	if (r == 0 && l->after > last)
		r = err_set_subject(err, ERR_FAILED_PRECONDITION, "CURSOR_UNKNOWN", "after",
			"there is no event with that number yet: it is another croftd's, or of "
			"before a backup was restored; begin with the last that you know to be "
			"this one's, or with 0");
	l->begun = r == 0;
	return r;
}

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct listing *l = arg;
	int r = l->begun ? 0 : check_cursor(db, l, err);

	if (r == 0)
		r = event_row_read_dropped(db, l->tenant_uid, &l->dropped, err);
	if (r < 0)
		return r;
	l->rows = calloc(EVENTS_PER_STEP, sizeof(*l->rows));
	if (!l->rows)
		return err_oom(err);
	if (l->tenant_uid[0])
		return db_query(db,
			"SELECT " EVENT_ROW_COLUMNS
			" FROM events WHERE tenant_uid = ?1 AND number > ?2"
			" ORDER BY number LIMIT ?3",
			take_row, l, err, "sud", l->tenant_uid, l->after, EVENTS_PER_STEP);
	return db_query(db,
		"SELECT " EVENT_ROW_COLUMNS
		" FROM events WHERE number > ?1 ORDER BY number LIMIT ?2",
		take_row, l, err, "ud", l->after, EVENTS_PER_STEP);
}

static void send_row(struct listing *l, const struct event_row *e)
{
	struct event_message out;

	event_row_fill(e, l->is_operator, &out);
	grpc_send(l->turns.call, &out.msg.base);
}

/* What the client has missed for coming too late. The cursor stays where it is. */
static void tell_dropped(struct listing *l)
{
	struct event_row e;
	struct details d;

	event_row_dropped(l->after, l->dropped, l->tenant, &d, &e);
	e.wall_usec = clock_wall_usec();
	send_row(l, &e);
	l->told = l->dropped;
}

static bool has_missed(const struct listing *l)
{
	return l->dropped > l->after && l->dropped > l->told;
}

static void read_more(struct listing *l);

/* Sends as much as the client takes, then looks for more, or waits for it, or ends. */
static void go_on(struct turns *turns)
{
	struct listing *l = (struct listing *)turns;

	if (has_missed(l)) {
		if (!grpc_call_writable(turns->call))
			return;
		tell_dropped(l);
	}
	while (l->sent < l->n_rows) {
		if (!grpc_call_writable(turns->call))
			return;
		l->after = l->rows[l->sent].number;
		send_row(l, &l->rows[l->sent++]);
	}
	drop_rows(l);
	if (l->wanted)
		read_more(l);
	else if (!l->follow)
		turns_finish(turns);
}

static void on_step(void *arg, const struct err *err)
{
	struct listing *l = arg;

	if (l->n_rows == EVENTS_PER_STEP)
		l->wanted = true;
	if (turns_back(&l->turns, err))
		go_on(&l->turns);
}

static void read_more(struct listing *l)
{
	l->turns.pending = true;
	l->wanted = false;
	db_read(l->server->db, read_step, on_step, l);
}

/* One that is reading or sending looks again by itself. */
static void on_wake(void *arg)
{
	struct listing *l = arg;

	l->wanted = true;
	if (!l->turns.pending)
		go_on(&l->turns);
}

/* Returns 0, or the refusal. */
static int start_watch(struct listing *l, struct err *err)
{
	int r;

	memcpy(l->watch.tenant_uid, l->tenant_uid, sizeof(l->watch.tenant_uid));
	l->watch.by_operator = l->is_operator;
	l->watch.wake = on_wake;
	l->watch.arg = l;
	r = event_feed_add(l->server, &l->watch, err);
	l->follow = r == 0;
	return r;
}

static void list_events(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListEventsRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct listing *l;
	struct tenant *t;
	struct err err;

	if (auth_scope(server, grpc_call_peer(call), request->tenant, &t, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	l->turns.go_on = go_on;
	l->turns.free = listing_free;
	l->server = server;
	l->after = request->after;
	l->is_operator = auth_is_operator(grpc_call_peer(call));
	if (t) {
		memcpy(l->tenant_uid, t->uid, sizeof(l->tenant_uid));
		memcpy(l->tenant, t->name, sizeof(l->tenant));
	}
	turns_begin(&l->turns, call);
	if (request->follow && start_watch(l, &err) < 0)
		turns_fail(&l->turns, &err);
	else
		read_more(l);
}

const struct grpc_handler svc_events_handlers[] = {
	{.path = "/croft.v1.Events/ListEvents",
		.start = list_events,
		.writable = turns_writable,
		.cancelled = turns_cancelled},
	{.path = NULL},
};
