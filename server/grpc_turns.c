/* Streaming in turns; see grpc_turns.h. Never frees what a callback is still to come to. */
#include "server/grpc_turns.h"

static void release(struct turns *turns)
{
	struct grpc_call *call = turns->call;

	grpc_call_set_data(call, NULL);
	turns->free(turns);
	grpc_call_unref(call);
}

void turns_begin(struct turns *turns, struct grpc_call *call)
{
	turns->call = grpc_call_ref(call);
	grpc_call_set_data(call, turns);
}

bool turns_back(struct turns *turns, const struct err *err)
{
	turns->pending = false;
	if (turns->cancelled)
		release(turns);
	else if (err)
		turns_fail(turns, err);
	else
		return true;
	return false;
}

void turns_finish(struct turns *turns)
{
	grpc_finish(turns->call);
	release(turns);
}

void turns_reply(struct turns *turns, const ProtobufCMessage *reply)
{
	grpc_reply(turns->call, reply);
	release(turns);
}

void turns_fail(struct turns *turns, const struct err *err)
{
	grpc_fail(turns->call, err);
	release(turns);
}

void turns_writable(struct grpc_call *call)
{
	struct turns *turns = grpc_call_data(call);

	if (turns && !turns->pending)
		turns->go_on(turns);
}

void turns_cancelled(struct grpc_call *call)
{
	struct turns *turns = grpc_call_data(call);

	if (!turns)
		return;
	if (turns->pending)
		turns->cancelled = true;
	else
		release(turns);
}
