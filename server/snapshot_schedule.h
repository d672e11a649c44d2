/*
 * Snapshots that are made by themselves: every so often, the newest `keep` of them kept, each gone
 * after `expire`. By the wall clock; the next time is on record with the container, so that what
 * was due while nobody was there is made once.
 */
#pragma once

#include "base/span.h"
#include "server/snapshot.h"

#include "croft/v1/containers.pb-c.h"

#define SCHEDULE_TEXT_SIZE 96

int snapshot_schedule_create(struct server *server, struct err *err);
void snapshot_schedule_destroy(struct server *server);
/* Looks at once: something has changed. */
void snapshot_schedule_wake(struct server *server);

/* Checks a request's; NULL is none. The next time is one period from now. */
int snapshot_schedule_read(const Croft__V1__SnapshotSchedule *msg, int64_t now_wall_usec,
	struct snapshot_schedule *ret, struct err *err);
/* Of a single snapshot: seconds, 0 for none. INVALID_ARGUMENT as above. */
int snapshot_expire_read(
	const Google__Protobuf__Duration *duration, int64_t *ret_s, struct err *err);
/* "86400 7 0 1795000000": as the database keeps it; "" for none. Returns out. */
const char *snapshot_schedule_write(
	const struct snapshot_schedule *schedule, char out[static SCHEDULE_TEXT_SIZE]);
/* By span_write_schedule(), for people. Returns out. */
const char *snapshot_schedule_tell(
	const struct snapshot_schedule *schedule, char out[static SPAN_SCHEDULE_SIZE]);
/* Of snapshot_schedule_write(): -EBADMSG when it is no such text. */
int snapshot_schedule_parse(const char *text, struct snapshot_schedule *ret);
/* Also when the clock was set back by a minute more than a period: the time on record is of no use
 * then. */
bool snapshot_schedule_is_due(const struct snapshot_schedule *schedule, int64_t now_wall_usec);
/* The first time behind now, in steps of the period. */
int64_t snapshot_schedule_next(const struct snapshot_schedule *schedule, int64_t now_wall_usec);
/* "auto-20261123-0400", in UTC; with seconds when `long_form`. */
void snapshot_schedule_name(int64_t wall_usec, bool long_form, char ret[static NAME_SIZE]);
