/*
 * A call that streams what it has in turns: it sends as long as the client takes it, waits for the
 * client, or for a callback that brings more. The one place that knows who may free it when.
 *
 * Embedded first in what the handler keeps, which is the call's data.
 */
#pragma once

#include "server/grpc.h"

struct turns {
	struct grpc_call *call; /* a reference */
	bool pending;		/* a callback is to come: nobody else may free it */
	bool cancelled;
	/* Sends what there is, asks for more, or ends. */
	void (*go_on)(struct turns *turns);
	/* Frees all but the call: what embeds it, too. */
	void (*free)(struct turns *turns);
};

/* Takes the call. go_on and free are set. */
void turns_begin(struct turns *turns, struct grpc_call *call);
/* The callback has come. False when that was all there is to do: turns is gone. */
bool turns_back(struct turns *turns, const struct err *err);
/* End the call; turns is gone. turns_reply() is for a unary one. */
void turns_finish(struct turns *turns);
void turns_reply(struct turns *turns, const ProtobufCMessage *reply);
void turns_fail(struct turns *turns, const struct err *err);

/* For struct grpc_handler. */
void turns_writable(struct grpc_call *call);
void turns_cancelled(struct grpc_call *call);
