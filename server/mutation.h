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
	struct err failure; /* while the reply is taken back */
};

/*
 * Begins. NULL when there is nothing to do: the call was answered (a repeated request, a bad
 * request_id, no memory) or will be, when the same request under way has ended.
 */
struct mutation *mutation_begin(
	struct grpc_call *call, const ProtobufCMessage *request, const char *request_id);

/*
 * Makes this the transaction of the effect: the caller is its actor, and with a request_id it
 * stores the reply.
 */
void mutation_store(struct mutation *m, struct db_tx *tx, const ProtobufCMessage *reply);

/*
 * The same where the reply is only known to the work of a db_change(): the caller is set on the
 * loop, the reply stored on the database's thread, before db_tx_run().
 */
void mutation_set_actor(const struct mutation *m, struct db_tx *tx);
void mutation_store_reply(struct mutation *m, struct db_tx *tx, const ProtobufCMessage *reply);

/* Ends it: answers the call and whoever waits for the same request; frees m. */
void mutation_reply(struct mutation *m, const ProtobufCMessage *reply);
void mutation_fail(struct mutation *m, const struct err *err);
