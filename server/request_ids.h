/*
 * request_id: a mutation that is sent again is not carried out again.
 *
 * A request is known by who asks, the method and its request_id; its fingerprint is a hash of the
 * whole request. While the first is in flight a repeated one waits for its outcome; afterwards it
 * gets the stored reply, for 24 hours or until the same caller has sent REQUESTS_PER_CALLER others.
 * Failures are not kept: the next attempt is carried out.
 */
#pragma once

#include "server/db.h"
#include "server/model.h"

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_ID_MAX	    64
#define REQUESTS_PER_CALLER 8192
#define REQUEST_KEPT_USEC   (24 * 3600 * INT64_C(1000000))

struct request_table;

/* One request that was seen. Opaque but for what a waiter reads. */
struct request_entry;

struct request_table *request_table_create(void);
void request_table_destroy(struct request_table *table);

/* Loads what is kept, before the database's thread has started. */
int request_table_load(struct request_table *table, struct db *db, struct err *err);

enum request_state {
	REQUEST_NEW,	 /* carry it out, then request_finish() */
	REQUEST_RUNNING, /* the same is under way: request_wait() */
	REQUEST_DONE,	 /* answer with the stored reply: request_key() */
};

/*
 * Looks a request up, and enters it when it is new. Refusals: INVALID_ARGUMENT /
 * REQUEST_ID_INVALID (too long, or not printable) or REQUEST_ID_REUSED (another content).
 */
int request_begin(struct request_table *table, const char *caller, const char *method,
	const char *request_id, const void *request, size_t size, int64_t now_wall_usec,
	struct request_entry **ret, enum request_state *ret_state, struct err *err);

/* Calls fn when the request under way has ended; then request_reply() holds on success. */
int request_wait(struct request_entry *entry, void (*fn)(void *arg, const struct err *err),
	void *arg, struct err *err);
/*
 * Adds the reply to the transaction that makes the request's effect durable, in the place of the
 * one that is forgotten for it. May be called on the database's thread: the entry is only read.
 */
void request_store(
	struct db_tx *tx, const struct request_entry *entry, const uint8_t *reply, size_t size);
/*
 * The request has failed after its reply was put in a transaction, which may have been committed:
 * it is to be carried out again when it comes again, also by the next croftd. request_finish()
 * follows, with `stored`.
 */
void request_take_back(struct db_tx *tx, const struct request_entry *entry);
/* Replaces a stored reply by a more complete one. */
void request_store_again(struct db_tx *tx, const char *key, const uint8_t *reply, size_t size);
/*
 * Ends a new request: with its reply, or (err not NULL) as if it had never been sent. A reply that
 * was not stored is given to those who wait, and then forgotten as well.
 */
void request_finish(struct request_table *table, struct request_entry *entry, const uint8_t *reply,
	size_t size, bool stored, const struct err *err);
/* During the callback of request_wait(). */
const uint8_t *request_reply(const struct request_entry *entry, size_t *ret_size);
const char *request_key(const struct request_entry *entry);

/* Forgets what is older than REQUEST_KEPT_USEC, and has the rows deleted. */
void request_expire(struct request_table *table, struct db_tx *tx, int64_t now_wall_usec);
/* Reads a stored reply on the database's thread into an allocated buffer, the caller's. */
int request_load_reply(
	struct db *db, const char *key, uint8_t **ret_reply, size_t *ret_size, struct err *err);
