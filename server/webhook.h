/*
 * A webhook: what it is sent, where, and how far that has come. All of them are in memory and on
 * record; webhook_queue.c sends, svc_webhooks.c is how operators see to them.
 */
#pragma once

#include "server/server.h"
#include "server/webhook_sign.h"
#include "server/webhook_url.h"

#define WEBHOOKS_MAX	      32 /* of a host; each has one transfer at a time */
#define WEBHOOK_TYPES_MAX     16
#define WEBHOOK_TYPE_SIZE     65
#define WEBHOOK_CA_MAX	      65536
#define WEBHOOK_ERROR_SIZE    256
#define WEBHOOK_REASON_SIZE   16
#define WEBHOOK_OVERLAP_S     86400
#define WEBHOOK_OVERLAP_MAX_S (30 * 86400)
/* One that fails for the days that the operator set is disabled, but not by a clock that jumped. */
#define WEBHOOK_ATTEMPTS_LEAST 20u

enum webhook_source { WEBHOOK_USAGE = 1, WEBHOOK_EVENTS = 2 };

/* What it is sent. Fixed from its making on, so that a cursor always means the same. */
struct webhook_feed {
	enum webhook_source source;
	char tenant[NAME_SIZE]; /* "": of all */
	char tenant_uid[UID_SIZE];
	char types[WEBHOOK_TYPES_MAX][WEBHOOK_TYPE_SIZE]; /* what they begin with */
	size_t n_types;					  /* 0: all */
};

/* How far it has come. Numbers of entries of the ledger, or of events. */
struct webhook_place {
	uint64_t cursor;   /* taken up to here */
	uint64_t pending;  /* a message up to here was begun: it is the same when it is repeated */
	uint64_t gap_told; /* the receiver knows that some up to here are lost */
	uint64_t gap_pending; /* it is being told so */
};

struct webhook_state {
	struct webhook_place place;
	char disabled[WEBHOOK_REASON_SIZE]; /* "operator", "gone", "failing"; "": it is not */
	unsigned attempts;		    /* of the present message, in vain */
	int64_t failing_wall_usec;	    /* since; 0: it is not */
	int64_t next_wall_usec; /* of the next attempt; 0: there is nothing to wait for */
	int64_t success_wall_usec;
	int64_t error_wall_usec;
	long status; /* of the last answer */
	char error[WEBHOOK_ERROR_SIZE];
};

struct webhook_target {
	char url[WEBHOOK_URL_MAX + 1];
	bool insecure_http;
	char *ca_pem; /* owned; NULL: the host's */
	char secret[WEBHOOK_SECRET_SIZE];
	char old_secret[WEBHOOK_SECRET_SIZE]; /* "": none */
	int64_t old_secret_until_wall_usec;
};

/* See webhook_queue.c. */
enum webhook_step {
	WEBHOOK_IDLE,
	WEBHOOK_READING,
	WEBHOOK_MARKING,
	WEBHOOK_SENDING,
	WEBHOOK_SETTLING,
	WEBHOOK_WAITING,
};

struct http_post;
struct webhook_batch;
struct webhook_test;

struct webhook {
	struct map_node by_name;
	struct server *server;
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	int64_t created_wall_usec;
	struct webhook_feed feed;
	struct webhook_target target;
	struct webhook_state state;
	bool visible;  /* its making is committed */
	bool changing; /* somebody's change of it is under way */
	/* The queue's. */
	enum webhook_step step;
	bool gone;	      /* it is freed when nothing is under way any more */
	uint64_t kept_cursor; /* as on record */
	struct event *timer;  /* owned */
	struct http_post *post;
	struct webhook_batch *batch;  /* owned: the message under way */
	struct webhook_state settled; /* what is being put on record */
	const char *disabling;	      /* a literal: and why that will disable it; NULL: not */
	struct webhook_test *test;    /* webhook_test.c */
};

/* Adds one that is not visible yet, with a new uid. NULL when out of memory. */
struct webhook *webhook_add(struct server *server, const char *name);
/* Takes it out of the map; webhook_free() it, or let the queue. */
void webhook_remove(struct webhook *w);
void webhook_free(struct webhook *w);
/* By name, visible or not; and a visible one by its resource name, "webhooks/{w}". */
struct webhook *webhook_any(const struct server *server, const char *name);
int webhook_find(
	const struct server *server, const char *resource, struct webhook **ret, struct err *err);

/* A copy of the target for a change; finish it. Returns 0 or -ENOMEM. */
int webhook_target_copy(const struct webhook_target *from, struct webhook_target *ret);
void webhook_target_finish(struct webhook_target *target);

/* Whether an event of this type is among what it is sent. */
bool webhook_feed_wants(const struct webhook_feed *feed, const char *type);
/* Types as one text, with spaces between, and back. */
#define WEBHOOK_TYPES_TEXT_SIZE (WEBHOOK_TYPES_MAX * WEBHOOK_TYPE_SIZE + 1)
const char *webhook_types_write(
	const struct webhook_feed *feed, char out[static WEBHOOK_TYPES_TEXT_SIZE]);
/* Adds one. INVALID_ARGUMENT / TYPE_INVALID. */
int webhook_feed_add_type(struct webhook_feed *feed, const char *type, struct err *err);
int webhook_types_read(struct webhook_feed *feed, const char *text, struct err *err);
