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
	struct grpc_call *call; /* the owner's reference */
	struct evbuffer *buffer;
	struct event *writable;
	int pipe;    /* -1: not opened yet, or closed */
	bool ending; /* the client has sent all */
	bool closed; /* nobody reads it any more, or all was written */
};

/* Returns 0 or -ENOMEM; feed_finish() is due in either case. */
int feed_init(struct feed *feed, struct grpc_call *call);
/* Makes the pipe; *ret_theirs, its reading end, is the caller's. */
int feed_open(struct feed *feed, struct event_base *base, int *ret_theirs, struct err *err);
/* Writes what can be written now. */
void feed_flush(struct feed *feed);
void feed_add(struct feed *feed, const void *data, size_t size);
/* The client has sent all. */
void feed_end(struct feed *feed);
/* Nothing more is written. Idempotent. */
void feed_close(struct feed *feed);
void feed_finish(struct feed *feed);
