/* Reads and shows events; see event_row.h. What tenants are not told is decided here alone. */
#include "server/event_row.h"

#include "server/convert.h"
#include "server/details.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int event_row_take(sqlite3_stmt *row, bool for_operator, struct event_row *ret, struct err *err)
{
	const char *details = (const char *)sqlite3_column_text(row, 7);
	const char *full = (const char *)sqlite3_column_text(row, 10);

	if (for_operator && full && *full)
		details = full;
	ret->details = strdup(details ? details : "{}");
	if (!ret->details)
		return err_oom(err);
	ret->number = db_column_u64(row, 0);
	ret->wall_usec = sqlite3_column_int64(row, 1);
	db_column_text(row, 2, ret->type, sizeof(ret->type));
	db_column_text(row, 3, ret->tenant, sizeof(ret->tenant));
	db_column_text(row, 4, ret->resource, sizeof(ret->resource));
	db_column_text(row, 5, ret->run_id, sizeof(ret->run_id));
	db_column_text(row, 6, ret->message, sizeof(ret->message));
	db_column_text(row, 8, ret->actor, sizeof(ret->actor));
	ret->by_operator = sqlite3_column_int(row, 9);
	return 0;
}

void event_row_fill(const struct event_row *row, bool for_operator, struct event_message *ret)
{
	Croft__V1__Event *out = &ret->msg;

	croft__v1__event__init(out);
	convert_time(row->wall_usec, &ret->time);
	out->number = row->number;
	out->time = row->wall_usec ? &ret->time : NULL;
	out->type = (char *)row->type;
	out->tenant = (char *)row->tenant;
	out->resource = (char *)row->resource;
	out->run_id = (char *)row->run_id;
	out->message = (char *)row->message;
	out->details_json = (char *)row->details;
	/* Which user of the host an operator is, is nothing for tenants. */
	if (for_operator || !row->by_operator)
		out->actor = (char *)row->actor;
	if (*row->actor)
		out->actor_role = (char *)(row->by_operator ? "operator" : "tenant");
}

void event_row_dropped(uint64_t after, uint64_t through, const char *tenant,
	struct details *details, struct event_row *ret)
{
	*ret = (struct event_row){.number = after, .type = "events.dropped"};
	details_init(details);
	details_number(details, "through", through);
	ret->details = details->text;
	details_end(details);
	snprintf(ret->tenant, sizeof(ret->tenant), "%s", tenant);
	if (*tenant)
		snprintf(ret->resource, sizeof(ret->resource), "tenants/%s", tenant);
	snprintf(ret->message, sizeof(ret->message),
		"some events with numbers up to %" PRIu64 " are no longer kept", through);
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

int event_row_read_last(struct db *db, uint64_t *ret, struct err *err)
{
	return db_query(
		db, "SELECT coalesce(max(number), 0) FROM events", take_number, ret, err, "");
}

int event_row_read_dropped(struct db *db, const char *tenant_uid, uint64_t *ret, struct err *err)
{
	if (*tenant_uid)
		return db_query(db,
			"SELECT coalesce(max(dropped), 0) FROM event_lanes"
			" WHERE lane IN (?1, ?1 || '!')",
			take_number, ret, err, "s", tenant_uid);
	return db_query(
		db, "SELECT coalesce(max(dropped), 0) FROM event_lanes", take_number, ret, err, "");
}
