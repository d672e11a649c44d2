/*
 * A client's stream on its way into a pipe, no faster than its reader takes it, and never looked
 * into. While the pipe is full nothing more is received of the call.
 */
#pragma once

#include "server/grpc.h"

#include <stdint.h>

struct evbuffer;
struct event;
struct event_base;

struct feed {
	struct grpc_call *call; /* a reference; its data is this feed */
	struct evbuffer *buffer;
	struct event *writable;
	uint64_t told_boot_usec; /* when the client was last told how far it is */
	int pipe;		 /* -1: not opened yet, or closed */
	bool ending;		 /* the client has sent all */
	bool closed;		 /* nobody reads it any more, or all was written */
	bool cancelled;		 /* the client has left before that */
};

/*
 * Takes the call over; nothing is received of it before feed_open() and feed_flush(). Returns 0 or
 * -ENOMEM; feed_finish() is due in either case.
 */
int feed_init(struct feed *feed, struct grpc_call *call);
/* Makes the pipe; *ret_theirs, its reading end, is the caller's. */
int feed_open(struct feed *feed, struct event_base *base, int *ret_theirs, struct err *err);
/* Writes what can be written now. */
void feed_flush(struct feed *feed);
/* Nothing more is written. Idempotent. */
void feed_close(struct feed *feed);
void feed_finish(struct feed *feed);

/*
 * Whether the client is to be told now how far it is: a few times a second, and only while it takes
 * what it is told.
 */
bool feed_tells(struct feed *feed);

/* For a method's handler, also when its call has no feed (any more). */
void feed_message(struct grpc_call *call, bool is_data, const ProtobufCBinaryData *data);
void feed_half_closed(struct grpc_call *call);
void feed_cancelled(struct grpc_call *call);
