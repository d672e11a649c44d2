/*
 * The service Events. Old and new events take the same way: from the table, after the cursor. So a
 * follower sees each exactly once, in order, however it joins.
 */
#include "server/event_feed.h"
#include "server/svc.h"

#include "server/auth.h"
#include "server/convert.h"

#include "croft/v1/events.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define EVENTS_PER_STEP 128

struct event_row {
	uint64_t number;
	int64_t wall_usec;
	char type[64];
	char tenant[NAME_SIZE];
	char resource[RESOURCE_SIZE];
	char run_id[RUN_ID_SIZE];
	char message[600];
	char *details; /* owned */
};

struct follower {
	LIST_ENTRY(follower) entry;
	struct server *server;
	struct grpc_call *call; /* a reference */
	uint64_t after;
	bool follow;
	char tenant_uid[UID_SIZE]; /* "": all */
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
	struct event_row *e = &f->rows[f->n_rows];
	const char *details = (const char *)sqlite3_column_text(row, 7);

	e->details = strdup(details ? details : "{}");
	if (!e->details)
		return err_oom(err);
	f->n_rows++;
	e->number = db_column_u64(row, 0);
	e->wall_usec = sqlite3_column_int64(row, 1);
	db_column_text(row, 2, e->type, sizeof(e->type));
	db_column_text(row, 3, e->tenant, sizeof(e->tenant));
	db_column_text(row, 4, e->resource, sizeof(e->resource));
	db_column_text(row, 5, e->run_id, sizeof(e->run_id));
	db_column_text(row, 6, e->message, sizeof(e->message));
	return 0;
}

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct follower *f = arg;

	drop_rows(f);
	if (f->tenant_uid[0])
		return db_query(db,
			"SELECT number, wall, type, tenant, resource, run_id, message, details"
			" FROM events WHERE tenant_uid = ?1 AND number > ?2 ORDER BY number"
			" LIMIT ?3",
			take_row, f, err, "sud", f->tenant_uid, f->after, EVENTS_PER_STEP);
	return db_query(db,
		"SELECT number, wall, type, tenant, resource, run_id, message, details FROM events"
		" WHERE number > ?1 ORDER BY number LIMIT ?2",
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
	Croft__V1__Event out = CROFT__V1__EVENT__INIT;
	Google__Protobuf__Timestamp time;

	convert_time(e->wall_usec, &time);
	out.number = e->number;
	out.time = &time;
	out.type = (char *)e->type;
	out.tenant = (char *)e->tenant;
	out.resource = (char *)e->resource;
	out.run_id = (char *)e->run_id;
	out.message = (char *)e->message;
	out.details_json = (char *)e->details;
	grpc_send(f->call, &out.base);
}

/* Sends as much as the client takes, then looks for more, or waits for it, or ends. */
static void go_on(struct follower *f)
{
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
	if (t)
		memcpy(f->tenant_uid, t->uid, sizeof(f->tenant_uid));
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
