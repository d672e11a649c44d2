/* An event of the record, as it is read and as it is shown. */
#pragma once

#include "server/db.h"
#include "server/model.h"

#include "croft/v1/events.pb-c.h"

struct details;

struct event_row {
	uint64_t number;
	int64_t wall_usec; /* 0: not known */
	char type[64];
	char tenant[NAME_SIZE];
	char resource[RESOURCE_SIZE];
	char run_id[RUN_ID_SIZE];
	char message[600];
	char actor[ACTOR_SIZE];
	bool by_operator;
	char *details; /* owned */
};

#define EVENT_ROW_COLUMNS                                                                          \
	"number, wall, type, tenant, resource, run_id, message, details, actor, by_operator,"      \
	" operator_details"

/*
 * Reads a row of those columns, as operators or tenants see it. Returns 0 with details the
 * caller's, or -ENOMEM.
 */
int event_row_take(sqlite3_stmt *row, bool for_operator, struct event_row *ret, struct err *err);

struct event_message {
	Croft__V1__Event msg;
	Google__Protobuf__Timestamp time;
};
/* Fills a message that points into the row. */
void event_row_fill(const struct event_row *row, bool for_operator, struct event_message *ret);

/* What a reader has missed for coming too late: up to `through`. The number is its cursor. */
void event_row_dropped(uint64_t after, uint64_t through, const char *tenant,
	struct details *details, struct event_row *ret);

/* The highest number there is, which is always kept; 0: no event yet. On the database's thread. */
int event_row_read_last(struct db *db, uint64_t *ret, struct err *err);
/*
 * Up to where some events are not kept any more, of a tenant or (uid "") of all; 0: all are. On the
 * database's thread.
 */
int event_row_read_dropped(struct db *db, const char *tenant_uid, uint64_t *ret, struct err *err);
