/*
 * Makes messages; see webhook_batch.h. A message is an array of CloudEvents. Must never depend on
 * anything but rows that do not change: who gets it twice tells by its id that it is the same.
 */
#include "server/webhook_batch.h"

#include "base/cleanup.h"
#include "proto/cloud_event.h"
#include "server/details.h"
#include "server/event_row.h"
#include "server/ledger_entries.h"
#include "server/record_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NO_END ((uint64_t)INT64_MAX)

struct making {
	struct webhook_batch *batch;
	FILE *out;
	uint64_t end;	/* a message under way ends here */
	size_t scanned; /* rows */
	size_t n;	/* that are in it */
	bool full;
	uint64_t last;		      /* row that was looked at */
	char stamp[LEDGER_HASH_SIZE]; /* what tells the last one in it from another of its number */
};

struct webhook_batch *webhook_batch_new(struct webhook *w, const char *host)
{
	struct webhook_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	batch->webhook = w;
	batch->feed = w->feed;
	batch->place = w->state.place;
	memcpy(batch->webhook_uid, w->uid, sizeof(batch->webhook_uid));
	snprintf(batch->host, sizeof(batch->host), "%s", host);
	return batch;
}

void webhook_batch_destroy(struct webhook_batch *batch)
{
	if (batch)
		free(batch->body);
	free(batch);
}

static int set_id(struct webhook_batch *batch, const char *stamp, struct err *err)
{
	char through[24];
	char hash[HASH_SIZE];
	const char *const parts[] = {batch->webhook_uid,
		batch->kind == WEBHOOK_BATCH_GAP ? "gap" : "batch", through, stamp};
	int r;

	snprintf(through, sizeof(through), "%" PRIu64,
		batch->kind == WEBHOOK_BATCH_GAP ? batch->gap : batch->through);
	r = hash_strings(parts, ARRAY_SIZE(parts), hash, err);
	if (r == 0)
		snprintf(batch->id, sizeof(batch->id), "msg_%s", hash);
	return r;
}

/* One is in it: whether the next may be, too. */
static void count(struct making *m, uint64_t number, unsigned most)
{
	m->batch->through = number;
	m->n++;
	m->full = m->n == most || ftell(m->out) >= (long)WEBHOOK_BODY_WANTED;
}

/* --- records --- */

static int take_entry(
	void *arg, const struct ledger_entry *entry, const char *last_hash, struct err *err)
{
	struct making *m = arg;
	char hash[LEDGER_HASH_SIZE];

	if (m->full || entry->number > m->end)
		return 0;
	memcpy(hash, entry->prev_hash, sizeof(hash));
	for (size_t meter = 0; meter < LEDGER_METERS; meter++) {
		struct record_message record;
		int r;

		if (!ledger_entry_has(entry, meter))
			continue;
		r = record_message_fill(entry, meter, true, hash, &record, err);
		if (r < 0)
			return r;
		fputc(ftell(m->out) == 0 ? '[' : ',', m->out);
		cloud_event_print(&record.msg, m->out);
		memcpy(hash, record.record.hash, sizeof(hash));
	}
	snprintf(m->stamp, sizeof(m->stamp), "%s", last_hash);
	count(m, entry->number, WEBHOOK_BATCH_ENTRIES);
	return 0;
}

static int read_records(struct db *db, struct making *m, struct err *err)
{
	struct webhook_batch *batch = m->batch;
	struct ledger_chain chain = {.key = 0};
	int r = ledger_entries_last(db, &m->last, err);

	if (r == 0 && *batch->feed.tenant_uid)
		r = ledger_chain_of(db, batch->feed.tenant_uid, &chain, err);
	if (r == 0 && (!*batch->feed.tenant_uid || chain.key))
		r = ledger_entries_after(db, chain.key, batch->place.cursor, WEBHOOK_BATCH_ENTRIES,
			take_entry, m, err);
	return r;
}

/* --- events --- */

static void print_event(struct making *m, const struct event_row *row, const char *id)
{
	struct event_message event;

	event_row_fill(row, true, &event);
	fputc(ftell(m->out) == 0 ? '[' : ',', m->out);
	cloud_event_print_event(&event.msg, id, m->batch->host, m->out);
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int take_event(sqlite3_stmt *stmt, void *arg, struct err *err)
{
	struct making *m = arg;
	struct event_row row = {0};
	char id[64];
	int r;

	if (m->full || db_column_u64(stmt, 0) > m->end)
		return 0;
	r = event_row_take(stmt, true, &row, err);
	if (r < 0)
		return r;
	m->scanned++;
	m->last = row.number;
	if (webhook_feed_wants(&m->batch->feed, row.type)) {
		/* A restored backup gives numbers a second time. */
		snprintf(m->stamp, sizeof(m->stamp), "%" PRId64, row.wall_usec);
		snprintf(id, sizeof(id), "%" PRIu64 "-%" PRId64, row.number, row.wall_usec);
		print_event(m, &row, id);
		count(m, row.number, WEBHOOK_BATCH_EVENTS);
	}
	free(row.details);
	return 0;
}

static int make_gap(struct making *m, uint64_t through, struct err *err)
{
	struct webhook_batch *batch = m->batch;
	struct details details;
	struct event_row row;
	char id[64];

	event_row_dropped(batch->place.cursor, through, batch->feed.tenant, &details, &row);
	snprintf(id, sizeof(id), "%" PRIu64 "-dropped-%" PRIu64, batch->place.cursor, through);
	print_event(m, &row, id);
	batch->kind = WEBHOOK_BATCH_GAP;
	batch->gap = through;
	batch->through = batch->place.cursor;
	return set_id(batch, "", err);
}

static int read_events(struct db *db, struct making *m, struct err *err)
{
	struct webhook_batch *batch = m->batch;
	const struct webhook_place *place = &batch->place;
	uint64_t dropped = 0;
	uint64_t last = 0;
	int r = event_row_read_dropped(db, batch->feed.tenant_uid, &dropped, err);

	if (r == 0)
		r = db_query(db, "SELECT coalesce(max(number), 0) FROM events", take_number, &last,
			err, "");
	if (r < 0)
		return r;
	if (place->gap_pending)
		return make_gap(m, place->gap_pending, err);
	if (dropped > place->cursor && dropped > place->gap_told)
		return make_gap(m, dropped, err);
	if (*batch->feed.tenant_uid)
		r = db_query(db,
			"SELECT " EVENT_ROW_COLUMNS " FROM events WHERE tenant_uid = ?1"
			" AND number > ?2 ORDER BY number LIMIT ?3",
			take_event, m, err, "sud", batch->feed.tenant_uid, place->cursor,
			WEBHOOK_SCAN_EVENTS);
	else
		r = db_query(db,
			"SELECT " EVENT_ROW_COLUMNS " FROM events WHERE number > ?1"
			" ORDER BY number LIMIT ?2",
			take_event, m, err, "ud", place->cursor, WEBHOOK_SCAN_EVENTS);
	batch->more = !m->n && m->scanned == WEBHOOK_SCAN_EVENTS;
	if (!batch->more)
		m->last = last;
	return r;
}

/* --- a message --- */

static int make(struct db *db, struct making *m, struct err *err)
{
	struct webhook_batch *batch = m->batch;
	int r = batch->feed.source == WEBHOOK_USAGE ? read_records(db, m, err)
						    : read_events(db, m, err);

	if (r < 0 || batch->kind == WEBHOOK_BATCH_GAP)
		return r;
	if (!m->n) {
		batch->kind = WEBHOOK_BATCH_NOTHING;
		/* Of a message under way nothing is kept any more: what is behind it comes next. */
		if (batch->place.pending) {
			batch->through = batch->place.pending;
			batch->more = true;
		} else if (m->last > batch->place.cursor) {
			batch->through = m->last;
		} else {
			batch->through = batch->place.cursor;
		}
		return 0;
	}
	batch->kind = WEBHOOK_BATCH_FULL;
	return set_id(batch, m->stamp, err);
}

int webhook_batch_read(struct db *db, void *arg, struct err *err)
{
	struct webhook_batch *batch = arg;
	struct making m = {
		.batch = batch, .end = batch->place.pending ? batch->place.pending : NO_END};
	int r;

	m.out = open_memstream(&batch->body, &batch->size);
	if (!m.out)
		return err_oom(err);
	r = make(db, &m, err);
	if (batch->kind != WEBHOOK_BATCH_NOTHING)
		/* Entries may have no meter, and so no record. */
		fputs(ftell(m.out) == 0 ? "[]\n" : "]\n", m.out);
	if (ferror(m.out) && r == 0)
		r = err_oom(err);
	if (fclose(m.out) != 0 && r == 0)
		r = err_oom(err);
	return r;
}

/* --- what waits --- */

static int count_entry(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct webhook_waiting *waiting = arg;

	(void)err;
	if (!waiting->n++)
		waiting->since_wall_usec = sqlite3_column_int64(row, 0);
	return 0;
}

static int count_event(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct webhook_waiting *waiting = arg;
	char type[64];

	db_column_text(row, 1, type, sizeof(type));
	return webhook_feed_wants(&waiting->feed, type) ? count_entry(row, arg, err) : 0;
}

static int count_entries(struct db *db, struct webhook_waiting *waiting, struct err *err)
{
	struct ledger_chain chain = {.key = 0};
	int r = 0;

	if (!*waiting->feed.tenant_uid)
		return db_query(db,
			"SELECT finalized FROM ledger_entries WHERE number > ?1"
			" ORDER BY number LIMIT ?2",
			count_entry, waiting, err, "ud", waiting->after, WEBHOOK_COUNT_MAX);
	r = ledger_chain_of(db, waiting->feed.tenant_uid, &chain, err);
	if (r < 0)
		return r;
	return db_query(db,
		"SELECT finalized FROM ledger_entries WHERE chain = ?1 AND number > ?2"
		" ORDER BY number LIMIT ?3",
		count_entry, waiting, err, "uud", chain.key, waiting->after, WEBHOOK_COUNT_MAX);
}

static int count_events(struct db *db, struct webhook_waiting *waiting, struct err *err)
{
	if (!*waiting->feed.tenant_uid)
		return db_query(db,
			"SELECT wall, type FROM events WHERE number > ?1 ORDER BY number LIMIT ?2",
			count_event, waiting, err, "ud", waiting->after, WEBHOOK_COUNT_MAX);
	return db_query(db,
		"SELECT wall, type FROM events WHERE tenant_uid = ?1 AND number > ?2"
		" ORDER BY number LIMIT ?3",
		count_event, waiting, err, "sud", waiting->feed.tenant_uid, waiting->after,
		WEBHOOK_COUNT_MAX);
}

int webhook_waiting_read(struct db *db, struct webhook_waiting *waiting, struct err *err)
{
	uint64_t behind = 0;
	int r = waiting->feed.source == WEBHOOK_USAGE ? count_entries(db, waiting, err)
						      : count_events(db, waiting, err);

	if (r < 0)
		return r;
	if (waiting->feed.source == WEBHOOK_USAGE) {
		waiting->more = waiting->n == WEBHOOK_COUNT_MAX;
		return 0;
	}
	r = db_query(db, "SELECT count(*) FROM (SELECT 1 FROM events WHERE number > ?1 LIMIT ?2)",
		take_number, &behind, err, "ud", waiting->after, WEBHOOK_COUNT_MAX + 1);
	waiting->more = behind > WEBHOOK_COUNT_MAX;
	return r;
}
