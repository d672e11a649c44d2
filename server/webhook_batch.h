/*
 * A webhook's next message: read from what is on record, on the database's thread, and made the
 * same to the byte however often that is.
 */
#pragma once

#include "server/hash.h"
#include "server/ledger_record.h"
#include "server/webhook.h"

#define WEBHOOK_BATCH_ENTRIES 8u /* of the ledger, of some 25 records each */
#define WEBHOOK_BATCH_EVENTS  64u
#define WEBHOOK_BODY_WANTED   (256u << 10) /* a message ends behind the one that reaches this */
#define WEBHOOK_SCAN_EVENTS   256u	   /* looked through at once, wanted or not */
#define WEBHOOK_ID_SIZE	      (HASH_SIZE + 4)

enum webhook_batch_kind { WEBHOOK_BATCH_NOTHING, WEBHOOK_BATCH_FULL, WEBHOOK_BATCH_GAP };

struct webhook_batch {
	struct webhook *webhook; /* the loop's */
	/* Set by whoever asks; feed and place are copies. */
	struct webhook_feed feed;
	struct webhook_place place;
	char webhook_uid[UID_SIZE];
	char host[LEDGER_HOST_SIZE];
	/* The result. */
	enum webhook_batch_kind kind;
	uint64_t through; /* the cursor behind it; of nothing: so far there is nothing to send */
	bool more;	  /* of nothing: it was not looked through to the end */
	uint64_t gap;	  /* of a gap: some up to here are not kept any more */
	char id[WEBHOOK_ID_SIZE];
	char *body; /* owned */
	size_t size;
};

struct webhook_batch *webhook_batch_new(struct webhook *w, const char *host);
void webhook_batch_destroy(struct webhook_batch *batch);

/* A db_read_fn whose arg is the batch. */
int webhook_batch_read(struct db *db, void *arg, struct err *err);

/* What is behind a cursor, for whoever asks how it goes. */
#define WEBHOOK_COUNT_MAX 1000u
struct webhook_waiting {
	struct webhook_feed feed; /* set by the caller, */
	uint64_t after;		  /* and this */
	uint64_t n;
	bool more; /* n is not all */
	int64_t since_wall_usec;
};
/* On the database's thread. */
int webhook_waiting_read(struct db *db, struct webhook_waiting *waiting, struct err *err);
