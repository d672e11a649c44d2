/*
 * What a period's records add up to: sums by meter. Of a peak it is the highest, and of a
 * percentile that of all the period's five minutes, each with what all containers had in it: of a
 * period that is short enough for a bill. See docs/adr/0097-the-95th-percentile.md.
 */
#pragma once

#include "server/usage_export.h"

#include "croft/v1/usage.pb-c.h"

/* Two months, whatever the time zone. */
#define USAGE_RANKED_MAX_USEC (62 * 24 * LEDGER_HOUR_USEC)
/* What five minutes of hours calls keep at once: of 200 bytes each. */
#define USAGE_HOURS_MAX 1000000u

struct usage_sums {
	unsigned __int128 quantity[LEDGER_METERS];
	uint64_t present; /* ledger_bit()s */
	uint64_t windows;
	uint64_t closed;
	/* Of them, by operators. */
	uint64_t corrections;
	__int128 corrected[LEDGER_METERS];
	uint64_t has_corrected; /* ledger_bit()s */
	struct burst_sum burst; /* owned */
	uint64_t p95;		/* of that, bits a second: by usage_sums_rank() */
};

/*
 * Adds up; what is kept for the percentile is freed by usage_sums_finish(). *hours goes up by each
 * hour that it is kept of; NULL: none is, and there is no percentile. Returns 0 or -ENOMEM.
 */
int usage_sums_add(
	struct usage_sums *sums, const struct export_item *item, size_t *hours, struct err *err);
/*
 * Works out the percentile, once all was added, and frees what it is of; *hours goes down by that.
 * Some milliseconds: for the database's thread. cursor has the period, which is ranked.
 */
void usage_sums_rank(struct usage_sums *sums, const struct export_cursor *cursor, size_t *hours);
void usage_sums_finish(struct usage_sums *sums);
/*
 * A call keeps so many hours, and kept *held before: counts them in *of_all, with those of the
 * other calls. Returns 0, or RESOURCE_EXHAUSTED / TOO_MANY_HOURS: then the call is to end. Who ends
 * it takes *held off *of_all.
 */
int usage_hours_hold(size_t *of_all, size_t *held, size_t hours, struct err *err);

/* The message of sums, and what it points into. */
struct usage_sums_message {
	Croft__V1__UsageSummary msg;
	Croft__V1__MeterSum sums[LEDGER_METERS];
	Croft__V1__MeterSum *list[LEDGER_METERS];
	char quantities[LEDGER_METERS][USAGE_DECIMAL_MAX];
	char corrected[LEDGER_METERS][USAGE_DECIMAL_MAX + 1];
	Google__Protobuf__Timestamp from;
	Google__Protobuf__Timestamp to;
};

/* Fills out, once they are ranked, but for whose they are. Sums of the period of that cursor. */
void usage_sums_fill(const struct usage_sums *sums, const struct export_cursor *cursor,
	struct usage_sums_message *out);

/*
 * Reads a request's period into a cursor: from its first record, and until now where a time is not
 * given (to_wall_usec is then 0). Returns 0 or -EINVAL.
 */
int usage_period_read(const Google__Protobuf__Timestamp *from,
	const Google__Protobuf__Timestamp *to, struct export_cursor *ret, struct err *err);
/* What runs is on the ledger: without an end, it goes until now, whenever that is. */
void usage_period_until_now(struct export_cursor *cursor);
/* True when it has a percentile: it is known where it begins, and it is not too long. */
bool usage_period_is_ranked(const struct export_cursor *cursor);
/* True when nothing that runs now can be in it. */
bool usage_period_is_past(const struct export_cursor *cursor);
