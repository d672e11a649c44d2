/* Wakes those who follow events; see event_feed.h. One look at the table is under way at a time. */
#include "server/event_feed.h"

#include "server/event_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_ROWS    512 /* new events that are told apart; beyond, all are woken */
#define LOOK_TENANTS 64	 /* tenants, likewise */

struct event_feed {
	struct server *server;
	LIST_HEAD(, event_watch) watches;
	bool looking; /* the database's thread has what is below */
	bool again;   /* something was committed meanwhile */

	uint64_t seen; /* the last event that a look has found; 0: not known */
	size_t n_rows;
	char tenants[LOOK_TENANTS][UID_SIZE]; /* whose events are new */
	size_t n_tenants;
	bool all; /* of everybody, for all that is known */
};

int event_feed_create(struct server *server, struct err *err)
{
	server->events = calloc(1, sizeof(*server->events));
	if (!server->events)
		return err_oom(err);
	server->events->server = server;
	return 0;
}

void event_feed_destroy(struct server *server)
{
	free(server->events);
	server->events = NULL;
}

/* --- who follows --- */

static bool shares_bound(const struct event_watch *a, const struct event_watch *b)
{
	return a->by_operator == b->by_operator &&
	       (a->by_operator || !strcmp(a->tenant_uid, b->tenant_uid));
}

int event_feed_add(struct server *server, struct event_watch *watch, struct err *err)
{
	unsigned most = watch->by_operator ? EVENT_WATCHES_OPERATOR : EVENT_WATCHES_TENANT;
	const struct event_watch *other;
	unsigned n = 0;

	LIST_FOREACH (other, &server->events->watches, entry)
		n += shares_bound(watch, other);
	if (n >= most)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "EVENT_FOLLOWERS", "followers",
			"%u calls follow these events already; one of them must end first", most);
	LIST_INSERT_HEAD(&server->events->watches, watch, entry);
	return 0;
}

void event_feed_remove(struct event_watch *watch)
{
	LIST_REMOVE(watch, entry);
}

/* --- the look, on the database's thread --- */

static void note_tenant(struct event_feed *feed, const char *uid)
{
	for (size_t i = 0; i < feed->n_tenants; i++)
		if (!strcmp(feed->tenants[i], uid))
			return;
	if (feed->n_tenants == LOOK_TENANTS)
		feed->all = true;
	else
		snprintf(feed->tenants[feed->n_tenants++], UID_SIZE, "%s", uid);
}

static int take_new(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct event_feed *feed = arg;
	char uid[UID_SIZE];

	(void)err;
	feed->seen = db_column_u64(row, 0);
	db_column_text(row, 1, uid, sizeof(uid));
	note_tenant(feed, uid);
	feed->n_rows++;
	return 0;
}

static int look(struct db *db, void *arg, struct err *err)
{
	struct event_feed *feed = arg;
	int r = 0;

	feed->n_rows = 0;
	feed->n_tenants = 0;
	feed->all = !feed->seen;
	if (feed->seen)
		r = db_query(db,
			"SELECT number, tenant_uid FROM events WHERE number > ?1"
			" ORDER BY number LIMIT ?2",
			take_new, feed, err, "ud", feed->seen, LOOK_ROWS);
	if (r == 0 && (feed->all || feed->n_rows == LOOK_ROWS)) {
		feed->all = true;
		r = event_row_read_last(db, &feed->seen, err);
	}
	return r;
}

/* --- the loop's side --- */

static bool concerns(const struct event_feed *feed, const struct event_watch *watch)
{
	if (feed->all || (!watch->tenant_uid[0] && feed->n_rows))
		return true;
	for (size_t i = 0; i < feed->n_tenants; i++)
		if (!strcmp(feed->tenants[i], watch->tenant_uid))
			return true;
	return false;
}

static void on_look(void *arg, const struct err *err)
{
	struct event_feed *feed = arg;
	struct event_watch *watch, *next;

	feed->looking = false;
	if (err) {
		/* Each asks for itself, and is told what is wrong. */
		feed->all = true;
		feed->seen = 0;
	}
	for (watch = LIST_FIRST(&feed->watches); watch; watch = next) {
		next = LIST_NEXT(watch, entry);
		if (concerns(feed, watch))
			watch->wake(watch->arg);
	}
	if (feed->again)
		event_feed_look(feed->server);
}

void event_feed_look(struct server *server)
{
	struct event_feed *feed = server->events;

	/* A start that failed has none yet, and commits all the same. */
	if (!feed)
		return;
	feed->again = feed->looking;
	if (feed->looking)
		return;
	if (LIST_EMPTY(&feed->watches)) {
		feed->seen = 0;
		return;
	}
	feed->looking = true;
	db_read(server->db, look, on_look, feed);
}
