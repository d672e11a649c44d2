/*
 * Dropping events; see event_retention.h. Must never drop the highest number, from which the next
 * is counted on, nor hold the database for long: a few hundred a transaction.
 */
#include "server/event_retention.h"

#include "base/log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define DROP_MAX     512u /* events a transaction */
#define DROP_MIN     32u  /* of one lane, before it is seen who has most now */
#define PAUSE_SWEEPS 6u	  /* a look every so many sampling intervals, */
#define PAUSE_MAX_MS UINT64_C(60000)
#define DAY_USEC     (86400 * INT64_C(1000000))

struct event_retention {
	struct event *timer;
	struct event_drop drop; /* the database's thread fills it, between look() and on_chosen() */
	int64_t before_wall_usec;
	struct clock_looks looks;
};

/* --- what goes --- */

struct most {
	size_t n;
	char lane[LANE_SIZE];
	uint64_t counts[2];
};

static int take_most(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct most *most = arg;

	(void)err;
	if (!most->n)
		db_column_text(row, 0, most->lane, sizeof(most->lane));
	most->counts[most->n++] = db_column_u64(row, 1);
	return 0;
}

static int take_total(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

struct old {
	int64_t before_wall_usec;
	uint64_t through;
	bool ended; /* a younger one was met */
};

static int take_old(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct old *old = arg;

	(void)err;
	old->ended |= sqlite3_column_int64(row, 1) >= old->before_wall_usec;
	if (!old->ended)
		old->through = db_column_u64(row, 0);
	return 0;
}

static int choose_by_count(struct db *db, uint64_t over, struct event_drop *drop, struct err *err)
{
	struct most most = {0};
	int r = db_query(db, "SELECT lane, n FROM event_lanes ORDER BY n DESC LIMIT 2", take_most,
		&most, err, "");

	if (r < 0)
		return r;
	drop->n = most.counts[0] - most.counts[1];
	if (drop->n < DROP_MIN)
		drop->n = DROP_MIN;
	if (drop->n > DROP_MAX)
		drop->n = DROP_MAX;
	if (drop->n > over)
		drop->n = over;
	memcpy(drop->lane, most.lane, sizeof(drop->lane));
	return 0;
}

int event_retention_choose(struct db *db, uint64_t max, int64_t before_wall_usec,
	struct event_drop *ret, struct err *err)
{
	struct old old = {.before_wall_usec = before_wall_usec};
	uint64_t total = 0;
	int r = db_query(
		db, "SELECT coalesce(sum(n), 0) FROM event_lanes", take_total, &total, err, "");

	*ret = (struct event_drop){0};
	if (r == 0 && total > max)
		return choose_by_count(db, total - max, ret, err);
	if (r < 0 || !before_wall_usec || total < 2)
		return r;
	r = db_query(db, "SELECT number, wall FROM events ORDER BY number LIMIT ?1", take_old, &old,
		err, "d", (int)(total - 1 < DROP_MAX ? total - 1 : DROP_MAX));
	ret->by_age = true;
	ret->through = old.through;
	return r;
}

void event_retention_drop(struct db_tx *tx, const struct event_drop *drop)
{
	if (drop->by_age)
		db_tx_write(tx,
			"DELETE FROM events WHERE number <= ?1"
			" AND number < (SELECT max(number) FROM events)",
			"u", drop->through);
	else
		db_tx_write(tx,
			"DELETE FROM events WHERE number IN (SELECT number FROM events"
			" WHERE lane = ?1 ORDER BY number LIMIT ?2)"
			" AND number < (SELECT max(number) FROM events)",
			"su", drop->lane, drop->n);
}

/* --- when --- */

static void look(struct server *server);

static void arm(struct server *server)
{
	uint64_t ms = server->config->sample_interval_ms * PAUSE_SWEEPS;
	struct timeval pause;

	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	pause = (struct timeval){
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	evtimer_add(server->event_retention->timer, &pause);
}

static void on_dropped(void *arg, const struct err *err)
{
	struct server *server = arg;

	if (err)
		log_error("events-not-dropped error=\"%s\"", err->msg);
	/* There may be more of it. */
	if (err || server->shutting_down)
		arm(server);
	else
		look(server);
}

static void on_chosen(void *arg, const struct err *err)
{
	struct server *server = arg;
	struct event_retention *retention = server->event_retention;
	struct db_tx *tx;

	if (err || server->shutting_down || (!retention->drop.n && !retention->drop.through)) {
		arm(server);
		return;
	}
	tx = db_tx_new();
	event_retention_drop(tx, &retention->drop);
	db_commit(server->db, tx, on_dropped, server);
}

static int choose(struct db *db, void *arg, struct err *err)
{
	const struct server *server = arg;
	struct event_retention *retention = server->event_retention;

	return event_retention_choose(db, server->config->event_count, retention->before_wall_usec,
		&retention->drop, err);
}

static void look(struct server *server)
{
	db_read(server->db, choose, on_chosen, server);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct event_retention *retention = server->event_retention;
	int64_t kept = server->config->event_days * DAY_USEC;
	int64_t now = clock_wall_usec();

	(void)fd;
	(void)what;
	retention->before_wall_usec = clock_is_even(&retention->looks, clock_boot_usec(), now)
					      ? now - kept
					      : 0;
	if (db_is_full(server->db) || server->shutting_down)
		arm(server);
	else
		look(server);
}

int event_retention_create(struct server *server, struct err *err)
{
	server->event_retention = calloc(1, sizeof(*server->event_retention));
	if (!server->event_retention)
		return err_oom(err);
	server->event_retention->timer = evtimer_new(server->base, on_timer, server);
	if (!server->event_retention->timer)
		return err_oom(err);
	arm(server);
	return 0;
}

void event_retention_destroy(struct server *server)
{
	if (!server->event_retention)
		return;
	if (server->event_retention->timer)
		event_free(server->event_retention->timer);
	free(server->event_retention);
	server->event_retention = NULL;
}
