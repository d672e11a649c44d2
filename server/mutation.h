/*
 * A mutation on its way: the call that asked, and its request_id.
 *
 * A handler begins one, does its asynchronous work, and ends it exactly once. The call may be gone
 * by then; the work is carried through all the same.
 */
#pragma once

#include "server/server.h"

struct request_entry;

struct mutation {
	struct server *server;
	struct grpc_call *call;	       /* a reference */
	struct request_entry *request; /* NULL: no request_id was given */
	uint8_t *reply;		       /* owned: as stored */
	size_t reply_size;
};

/*
 * Begins. NULL when there is nothing to do: the call was answered (a repeated request, a bad
 * request_id, no memory) or will be, when the same request under way has ended.
 */
struct mutation *mutation_begin(
	struct grpc_call *call, const ProtobufCMessage *request, const char *request_id);

/* Adds the reply to the transaction that makes the effect durable. Nothing without a request_id. */
void mutation_store(struct mutation *m, struct db_tx *tx, const ProtobufCMessage *reply);

/* Ends it: answers the call and whoever waits for the same request; frees m. */
void mutation_reply(struct mutation *m, const ProtobufCMessage *reply);
void mutation_fail(struct mutation *m, const struct err *err);
