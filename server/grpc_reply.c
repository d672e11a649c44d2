/*
 * What a call sends: messages as far as the client takes them, then its status. Nothing is sent
 * after the end; what a handler still says is dropped.
 */
#include "server/grpc_internal.h"

#include <string.h>

/* Beyond this the handler does not ask grpc_call_writable(), or the client does not read. */
#define OUT_MAX (GRPC_SEND_BUFFER_MAX + 2 * GRPC_MESSAGE_MAX)

/* --- The way out ------------------------------------------------------------------------------ */

static bool out_is_done(const struct grpc_call *call)
{
	return call->ended && grpc_buf_size(&call->out) == 0;
}

static const struct err *status_of(const struct grpc_call *call)
{
	return call->status.code == ERR_OK ? NULL : &call->status;
}

static ssize_t read_out(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length,
	uint32_t *data_flags, nghttp2_data_source *source, void *arg)
{
	struct grpc_call *call = source->ptr;
	size_t n = grpc_buf_size(&call->out);

	(void)arg;
	n = n < length ? n : length;
	if (n) {
		memcpy(buf, call->out.data + call->out.start, n);
		grpc_buf_consume(&call->out, n);
		grpc_call_recharge(call, 0);
	}
	if (out_is_done(call)) {
		*data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (grpc_status_submit_trailers(session, stream_id, status_of(call)) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		return (ssize_t)n;
	}
	/* Half of the room is free again: not sooner, so that the handler gets to send a lot. */
	if (call->blocked && grpc_buf_size(&call->out) <= GRPC_SEND_BUFFER_MAX / 2) {
		call->blocked = false;
		grpc_call_add_todo(call, GRPC_TODO_WRITABLE);
	}
	if (!n) {
		call->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)n;
}

/* Makes nghttp2 look at the call's output again; a call that it gives up on is reset. */
static void push_out(struct grpc_call *call)
{
	static const nghttp2_nv headers[] = {
		{(uint8_t *)":status", (uint8_t *)"200", 7, 3,
			NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
		{(uint8_t *)"content-type", (uint8_t *)"application/grpc", 12, 16,
			NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
	};
	nghttp2_session *session = call->conn->session;
	nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_out};
	int r = 0;

	if (call->responded) {
		if (call->deferred)
			r = nghttp2_session_resume_data(session, call->stream_id);
		call->deferred = false;
	} else {
		call->responded = true;
		if (out_is_done(call))
			r = grpc_status_submit_only(session, call->stream_id, 200, status_of(call));
		else
			r = nghttp2_submit_response(session, call->stream_id, headers, 2, &body);
	}
	if (r != 0)
		nghttp2_submit_rst_stream(
			session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_INTERNAL_ERROR);
	grpc_conn_kick(call->conn);
}

/* Ends the call from the handler's side; status NULL: OK. */
void grpc_reply_end(struct grpc_call *call, const struct err *status)
{
	if (call->ended)
		return;
	call->ended = true;
	if (!call->conn)
		return;
	if (status) {
		call->status = *status;
		if (call->status.code == ERR_OK) /* a failure must never look like success */
			call->status.code = ERR_UNKNOWN;
	}
	grpc_call_tell_end(call, (enum err_code)call->status.code);
	grpc_buf_finish(&call->held);
	grpc_deframer_finish(&call->deframer);
	grpc_call_drop_request(call);
	grpc_call_recharge(call, 0);
	push_out(call);
}

/* --- What handlers send ----------------------------------------------------------------------- */

/*
 * Ends the call while its handler sends. The handler is told when it has returned, so that what it
 * works on is not freed below it; and not at all if it has ended the call by then.
 */
static void end_while_sending(struct grpc_call *call, const struct err *status)
{
	grpc_reply_end(call, status);
	call->cancel_due = true;
	grpc_call_add_todo(call, GRPC_TODO_CANCELLED);
}

/* Room for a message of this size behind its prefix; NULL: the call has been ended for it. */
static uint8_t *begin_message(struct grpc_call *call, size_t size)
{
	uint8_t *room;
	struct err err;

	if (call->ended)
		return NULL;
	if (size > GRPC_MESSAGE_MAX) {
		err_set(&err, ERR_RESOURCE_EXHAUSTED, "REPLY_TOO_LARGE",
			"the reply of %zu bytes is larger than the %u that are allowed: ask for "
			"less at a time",
			size, GRPC_MESSAGE_MAX);
		end_while_sending(call, &err);
		return NULL;
	}
	if (grpc_buf_size(&call->out) > OUT_MAX ||
		!grpc_user_charge(call->user, GRPC_PREFIX_SIZE + size)) {
		grpc_call_refuse_bytes(&err);
		end_while_sending(call, &err);
		return NULL;
	}
	call->charged += GRPC_PREFIX_SIZE + size;
	room = grpc_buf_reserve(&call->out, GRPC_PREFIX_SIZE + size);
	if (!room) {
		err_oom(&err);
		end_while_sending(call, &err);
		return NULL;
	}
	grpc_frames_put_prefix(room, (uint32_t)size);
	return room + GRPC_PREFIX_SIZE;
}

static void commit_message(struct grpc_call *call, size_t size)
{
	grpc_buf_commit(&call->out, GRPC_PREFIX_SIZE + size);
	if (grpc_buf_size(&call->out) > GRPC_SEND_BUFFER_MAX)
		call->blocked = true;
}

static bool put_message(struct grpc_call *call, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *room = begin_message(call, size);

	if (!room)
		return false;
	protobuf_c_message_pack(message, room);
	commit_message(call, size);
	return true;
}

static bool put_packed(struct grpc_call *call, const uint8_t *data, size_t size)
{
	uint8_t *room = begin_message(call, size);

	if (!room)
		return false;
	if (size)
		memcpy(room, data, size);
	commit_message(call, size);
	return true;
}

/* The handler is done with the call: it is not told of an end any more. */
static void end_by_handler(struct grpc_call *call, const struct err *status)
{
	call->cancel_due = false;
	grpc_reply_end(call, status);
}

void grpc_reply(struct grpc_call *call, const ProtobufCMessage *reply)
{
	put_message(call, reply);
	end_by_handler(call, NULL);
}

void grpc_reply_packed(struct grpc_call *call, const uint8_t *data, size_t size)
{
	put_packed(call, data, size);
	end_by_handler(call, NULL);
}

void grpc_send(struct grpc_call *call, const ProtobufCMessage *message)
{
	if (put_message(call, message))
		push_out(call);
}

bool grpc_call_writable(const struct grpc_call *call)
{
	return !call->ended && grpc_buf_size(&call->out) <= GRPC_SEND_BUFFER_MAX;
}

size_t grpc_call_waiting(const struct grpc_call *call)
{
	return grpc_buf_size(&call->out);
}

void grpc_finish(struct grpc_call *call)
{
	end_by_handler(call, NULL);
}

void grpc_fail(struct grpc_call *call, const struct err *err)
{
	end_by_handler(call, err);
}
