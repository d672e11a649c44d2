/*
 * The service Events. Old and new events take the same way: from the table, after the cursor. So a
 * follower sees each exactly once, in order, however it joins.
 */
#include "server/event_feed.h"
#include "server/svc.h"

#include "server/auth.h"
#include "server/details.h"
#include "server/event_row.h"

#include "croft/v1/events.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define EVENTS_PER_STEP 128

struct follower {
	LIST_ENTRY(follower) entry;
	struct server *server;
	struct grpc_call *call; /* a reference */
	uint64_t after;
	bool follow;
	bool is_operator;
	char tenant_uid[UID_SIZE]; /* "": all */
	char tenant[NAME_SIZE];
	uint64_t dropped; /* some up to this number were dropped, as the last read has found */
	uint64_t told;	  /* as the client knows */
	bool begun;	  /* the cursor is one that the record has given */
	bool reading;
	bool wanted; /* something was committed during the read */
	bool cancelled;
	size_t n_rows;
	size_t sent;
	struct event_row rows[EVENTS_PER_STEP];
};

struct event_feed {
	LIST_HEAD(, follower) followers;
};

int event_feed_create(struct server *server, struct err *err)
{
	server->events = calloc(1, sizeof(*server->events));
	return server->events ? 0 : err_oom(err);
}

void event_feed_destroy(struct server *server)
{
	free(server->events);
	server->events = NULL;
}

static void drop_rows(struct follower *f)
{
	for (size_t i = 0; i < f->n_rows; i++)
		free(f->rows[i].details);
	f->n_rows = 0;
}

static void follower_free(struct follower *f)
{
	LIST_REMOVE(f, entry);
	drop_rows(f);
	grpc_call_set_data(f->call, NULL);
	grpc_call_unref(f->call);
	free(f);
}

static int take_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct follower *f = arg;
	int r = event_row_take(row, f->is_operator, &f->rows[f->n_rows], err);

	if (r == 0)
		f->n_rows++;
	return r;
}

/* Whoever waited behind a number that is yet to come would never hear of those before it. */
static int check_cursor(struct db *db, struct follower *f, struct err *err)
{
	uint64_t last;
	int r = event_row_read_last(db, &last, err);

	if (r == 0 && f->after > last)
		r = err_set_subject(err, ERR_FAILED_PRECONDITION, "CURSOR_UNKNOWN", "after",
			"there is no event with that number yet: it is another croftd's, or of "
			"before a backup was restored; begin with the last that you know to be "
			"this one's, or with 0");
	f->begun = r == 0;
	return r;
}

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct follower *f = arg;
	int r = f->begun ? 0 : check_cursor(db, f, err);

	if (r == 0)
		r = event_row_read_dropped(db, f->tenant_uid, &f->dropped, err);
	drop_rows(f);
	if (r < 0)
		return r;
	if (f->tenant_uid[0])
		return db_query(db,
			"SELECT " EVENT_ROW_COLUMNS
			" FROM events WHERE tenant_uid = ?1 AND number > ?2"
			" ORDER BY number LIMIT ?3",
			take_row, f, err, "sud", f->tenant_uid, f->after, EVENTS_PER_STEP);
	return db_query(db,
		"SELECT " EVENT_ROW_COLUMNS
		" FROM events WHERE number > ?1 ORDER BY number LIMIT ?2",
		take_row, f, err, "ud", f->after, EVENTS_PER_STEP);
}

static void go_on(struct follower *f);

static void on_step(void *arg, const struct err *err)
{
	struct follower *f = arg;

	f->reading = false;
	f->sent = 0;
	if (f->cancelled) {
		follower_free(f);
	} else if (err) {
		grpc_fail(f->call, err);
		follower_free(f);
	} else {
		go_on(f);
	}
}

static void read_more(struct follower *f)
{
	f->reading = true;
	f->wanted = false;
	db_read(f->server->db, read_step, on_step, f);
}

static void send_row(struct follower *f, const struct event_row *e)
{
	struct event_message out;

	event_row_fill(e, f->is_operator, &out);
	grpc_send(f->call, &out.msg.base);
}

/* What the client has missed for coming too late. The cursor stays where it is. */
static void tell_dropped(struct follower *f)
{
	struct event_row e;
	struct details d;

	event_row_dropped(f->after, f->dropped, f->tenant, &d, &e);
	e.wall_usec = clock_wall_usec();
	send_row(f, &e);
	f->told = f->dropped;
}

static bool has_missed(const struct follower *f)
{
	return f->dropped > f->after && f->dropped > f->told;
}

/* Sends as much as the client takes, then looks for more, or waits for it, or ends. */
static void go_on(struct follower *f)
{
	if (has_missed(f)) {
		if (!grpc_call_writable(f->call))
			return;
		tell_dropped(f);
	}
	while (f->sent < f->n_rows) {
		if (!grpc_call_writable(f->call))
			return;
		f->after = f->rows[f->sent].number;
		send_row(f, &f->rows[f->sent++]);
	}
	if (f->n_rows == EVENTS_PER_STEP || f->wanted) {
		read_more(f);
	} else if (!f->follow) {
		grpc_finish(f->call);
		follower_free(f);
	}
}

void event_feed_wake(struct server *server)
{
	struct follower *f;

	LIST_FOREACH (f, &server->events->followers, entry) {
		/* One that is sending or reading looks again by itself. */
		if (f->reading || f->sent < f->n_rows)
			f->wanted = true;
		else if (f->follow)
			read_more(f);
	}
}

static void list_events(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListEventsRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct follower *f;
	struct tenant *t;
	struct err err;

	if (auth_scope(server, grpc_call_peer(call), request->tenant, &t, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	f->server = server;
	f->call = grpc_call_ref(call);
	f->after = request->after;
	f->follow = request->follow;
	f->is_operator = auth_is_operator(grpc_call_peer(call));
	if (t) {
		memcpy(f->tenant_uid, t->uid, sizeof(f->tenant_uid));
		memcpy(f->tenant, t->name, sizeof(f->tenant));
	}
	LIST_INSERT_HEAD(&server->events->followers, f, entry);
	grpc_call_set_data(call, f);
	read_more(f);
}

static void writable(struct grpc_call *call)
{
	struct follower *f = grpc_call_data(call);

	if (f && !f->reading)
		go_on(f);
}

static void cancelled(struct grpc_call *call)
{
	struct follower *f = grpc_call_data(call);

	if (!f)
		return;
	/* The database's thread may be writing into it. */
	if (f->reading)
		f->cancelled = true;
	else
		follower_free(f);
}

const struct grpc_handler svc_events_handlers[] = {
	{.path = "/croft.v1.Events/ListEvents",
		.start = list_events,
		.writable = writable,
		.cancelled = cancelled},
	{.path = NULL},
};
