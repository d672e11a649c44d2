/*
 * Making, keeping and letting expire by the clock; see snapshot_schedule.h. One thing at a time a
 * container; whatever cannot be done now is looked at again soon.
 */
#include "server/snapshot_schedule.h"

#include "base/log.h"
#include "server/hold.h"
#include "server/link.h"
#include "server/server.h"
#include "server/snapshot_op.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND	    INT64_C(1000000)
#define EVERY_MIN_S 10
#define SPAN_MAX_S  (10 * 366 * INT64_C(86400))
#define KEEP_MAX    100
#define KEEP_UNSET  7
/* The wall clock may be set, so it is looked at every so often even when nothing is due. */
#define LOOK_MAX_S 60

struct snapshot_timer {
	struct event *event;
};

/* --- the schedule of a container --- */

/* field is for programs, what for people, whose option has another name. */
static int read_span(const Google__Protobuf__Duration *d, const char *field, const char *what,
	int64_t min, int64_t *ret_s, struct err *err)
{
	*ret_s = d ? d->seconds : 0;
	if (d && (d->nanos || d->seconds < min || d->seconds > SPAN_MAX_S))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "SCHEDULE_INVALID", field,
			"%s is given in whole seconds, at least %" PRId64 " and at most ten years",
			what, min);
	return 0;
}

static const char how_long[] = "how long a snapshot is kept";

int snapshot_expire_read(const Google__Protobuf__Duration *d, int64_t *ret_s, struct err *err)
{
	return read_span(d, "expire", how_long, 1, ret_s, err);
}

int snapshot_schedule_read(const Croft__V1__SnapshotSchedule *msg, int64_t now,
	struct snapshot_schedule *ret, struct err *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!msg || !msg->every)
		return 0;
	r = read_span(msg->every, "snapshot_schedule.every", "how often a snapshot is made",
		EVERY_MIN_S, &ret->every_s, err);
	if (r == 0)
		r = read_span(
			msg->expire, "snapshot_schedule.expire", how_long, 1, &ret->expire_s, err);
	if (r == 0 && msg->keep > KEEP_MAX)
		r = err_set_subject(err, ERR_INVALID_ARGUMENT, "SCHEDULE_INVALID",
			"snapshot_schedule.keep", "at most %d snapshots can be kept", KEEP_MAX);
	if (r < 0)
		return r;
	ret->keep = msg->keep ? msg->keep : KEEP_UNSET;
	ret->next_wall_usec = now + ret->every_s * SECOND;
	return 0;
}

const char *snapshot_schedule_write(
	const struct snapshot_schedule *s, char out[static SCHEDULE_TEXT_SIZE])
{
	out[0] = '\0';
	if (s->every_s)
		snprintf(out, SCHEDULE_TEXT_SIZE, "%" PRId64 " %u %" PRId64 " %" PRId64, s->every_s,
			s->keep, s->expire_s, s->next_wall_usec);
	return out;
}

const char *snapshot_schedule_tell(
	const struct snapshot_schedule *s, char out[static SPAN_SCHEDULE_SIZE])
{
	return span_write_schedule(s->every_s, s->keep, s->expire_s, out);
}

int snapshot_schedule_parse(const char *text, struct snapshot_schedule *ret)
{
	struct snapshot_schedule s = {0};
	char rest;

	memset(ret, 0, sizeof(*ret));
	if (!*text)
		return 0;
	if (sscanf(text, "%" SCNd64 " %u %" SCNd64 " %" SCNd64 "%c", &s.every_s, &s.keep,
		    &s.expire_s, &s.next_wall_usec, &rest) != 4 ||
		s.every_s < EVERY_MIN_S || s.every_s > SPAN_MAX_S || s.expire_s < 0 ||
		s.expire_s > SPAN_MAX_S || s.keep < 1 || s.keep > KEEP_MAX)
		return -EBADMSG;
	*ret = s;
	return 0;
}

bool snapshot_schedule_is_due(const struct snapshot_schedule *s, int64_t now)
{
	int64_t early = s->next_wall_usec - (s->every_s + LOOK_MAX_S) * SECOND;

	/* A clock that was set back a long way must not stop it for as long. */
	return s->every_s && (now >= s->next_wall_usec || now < early);
}

int64_t snapshot_schedule_next(const struct snapshot_schedule *s, int64_t now)
{
	int64_t every = s->every_s * SECOND;

	if (now < s->next_wall_usec - every)
		return now + every;
	if (now < s->next_wall_usec)
		return s->next_wall_usec;
	return s->next_wall_usec + ((now - s->next_wall_usec) / every + 1) * every;
}

void snapshot_schedule_name(int64_t wall_usec, bool long_form, char ret[static NAME_SIZE])
{
	time_t seconds = wall_usec / SECOND;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(ret, NAME_SIZE, long_form ? "auto-%Y%m%d-%H%M-%S" : "auto-%Y%m%d-%H%M", &tm);
}

/* --- by the clock --- */

static void make(struct server *server, struct container *c, int64_t now)
{
	char name[NAME_SIZE];
	struct snapshot_op *op;
	struct err err;
	int r;

	op = snapshot_op_new(server, NULL, c, &err);
	if (!op)
		return; /* busy: it stays due */
	c->schedule.next_wall_usec = snapshot_schedule_next(&c->schedule, now);
	snapshot_schedule_name(now, false, name);
	if (snapshot_any(c, name))
		snapshot_schedule_name(now, true, name);
	r = snapshot_check_new(c, name, &err);
	if (r == 0)
		op->snapshot = snapshot_add(c, name);
	if (r == 0)
		r = op->snapshot ? snapshot_describe(op->snapshot, &err) : err_oom(&err);
	if (r == 0) {
		op->snapshot->automatic = true;
		if (c->schedule.expire_s)
			op->snapshot->expire_wall_usec = now + c->schedule.expire_s * SECOND;
		snapshot_make(op);
		return;
	}
	if (op->snapshot)
		snapshot_remove(op->snapshot);
	op->snapshot = NULL;
	op->err = err;
	snapshot_op_failed(op, name);
}

/* One that is to go now: expired, or older than those that are kept. NULL: none. */
static struct snapshot *find_surplus(const struct container *c, int64_t now)
{
	struct snapshot *oldest = NULL;
	struct map_node *node;
	unsigned n = 0;

	MAP_FOREACH(node, &c->snapshots)
	{
		struct snapshot *s = map_object(node, struct snapshot, by_name);

		if (!s->visible || s->dropping)
			continue;
		if (s->expire_wall_usec && s->expire_wall_usec <= now)
			return s;
		if (!s->automatic)
			continue;
		n++;
		if (!oldest || s->created_wall_usec < oldest->created_wall_usec)
			oldest = s;
	}
	return c->schedule.every_s && n > c->schedule.keep ? oldest : NULL;
}

static void look_at(struct server *server, struct container *c, int64_t now)
{
	struct snapshot *surplus;
	struct snapshot_op *op;
	struct err err;

	if (!c->visible || c->changing || c->condemned)
		return;
	surplus = hold_keeps_evidence(c->tenant) ? NULL : find_surplus(c, now);
	if (surplus) {
		op = snapshot_op_new(server, NULL, c, &err);
		if (op) {
			op->snapshot = surplus;
			snapshot_drop(op);
		}
	} else if (snapshot_schedule_is_due(&c->schedule, now) && !c->tenant->suspended) {
		make(server, c, now);
	}
}

/* When the container is to be looked at again; what a hold keeps from being done waits for that. */
static int64_t due_at(const struct container *c, int64_t due)
{
	struct map_node *node;

	if (c->schedule.every_s && !c->tenant->suspended && c->schedule.next_wall_usec < due)
		due = c->schedule.next_wall_usec;
	if (hold_keeps_evidence(c->tenant))
		return due;
	MAP_FOREACH(node, &c->snapshots)
	{
		const struct snapshot *s = map_object(node, struct snapshot, by_name);

		if (s->expire_wall_usec && s->expire_wall_usec < due)
			due = s->expire_wall_usec;
	}
	return due;
}

static void arm(struct server *server, int64_t usec)
{
	const struct timeval pause = {.tv_sec = usec / SECOND, .tv_usec = usec % SECOND};

	if (server->snapshot_timer)
		event_add(server->snapshot_timer->event, &pause);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	int64_t now = clock_wall_usec();
	int64_t due = now + LOOK_MAX_S * SECOND;
	struct container *c = NULL;

	(void)fd;
	(void)what;
	while ((c = model_next_container(&server->model, c))) {
		if (link_is_ready(server->link) && !server->shutting_down)
			look_at(server, c, now);
		due = due_at(c, due);
	}
	/* What is due and could not be done is looked at again in a second. */
	arm(server, due < now + SECOND ? SECOND : due - now);
}

void snapshot_schedule_wake(struct server *server)
{
	arm(server, 0);
}

int snapshot_schedule_create(struct server *server, struct err *err)
{
	server->snapshot_timer = calloc(1, sizeof(*server->snapshot_timer));
	if (!server->snapshot_timer)
		return err_oom(err);
	server->snapshot_timer->event = evtimer_new(server->base, on_timer, server);
	if (!server->snapshot_timer->event)
		return err_oom(err);
	arm(server, SECOND);
	return 0;
}

void snapshot_schedule_destroy(struct server *server)
{
	if (server->snapshot_timer && server->snapshot_timer->event)
		event_free(server->snapshot_timer->event);
	free(server->snapshot_timer);
	server->snapshot_timer = NULL;
}
