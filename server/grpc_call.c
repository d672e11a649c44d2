/*
 * A call: from the first byte of its body to its status. Handlers are called from here only, and
 * never again once the call has ended; what they send after that is dropped.
 */
#include "base/clock.h"
#include "server/grpc_internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* --- Accounting ------------------------------------------------------------------------------- */

/* What the call holds for its peer has changed; false when that is more than the peer may have. */
bool grpc_call_recharge(struct grpc_call *call, size_t request_cost)
{
	size_t now = grpc_buf_size(&call->out) + grpc_buf_size(&call->held) +
		     grpc_buf_size(&call->deframer.body) + request_cost;
	struct grpc_user *user = call->user;

	if (!call->conn)
		return true;
	if (now > call->charged && !grpc_user_charge(user, now - call->charged))
		return false;
	if (now < call->charged)
		user->bytes -= call->charged - now;
	call->charged = now;
	return true;
}

void grpc_call_refuse_bytes(struct err *err)
{
	err_set(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_BYTES_WAITING",
		"too many bytes of this client's calls wait to be handled or read: use fewer calls "
		"at a time, and read their replies");
}

void grpc_call_add_todo(struct grpc_call *call, unsigned what)
{
	if (!call->conn)
		return;
	if (!call->todo)
		TAILQ_INSERT_TAIL(&call->conn->todo, call, todo_link);
	call->todo |= what;
	grpc_conn_kick(call->conn);
}

void grpc_call_drop_request(struct grpc_call *call)
{
	if (call->request)
		protobuf_c_message_free_unpacked(call->request, NULL);
	call->request = NULL;
}

/* --- The end ---------------------------------------------------------------------------------- */

static void tell_cancelled(struct grpc_call *call)
{
	if (call->started && call->handler->cancelled)
		call->handler->cancelled(call);
}

/* Ends the call instead of its handler, which is told. Not from within a handler. */
static void end_for_handler(struct grpc_call *call, const struct err *status)
{
	if (call->ended)
		return;
	grpc_reply_end(call, status);
	tell_cancelled(call);
}

void grpc_call_tell_end(const struct grpc_call *call, enum err_code code)
{
	const struct grpc_server *server = call->conn->server;

	if (server->ended)
		server->ended(call->app, call->method, code, clock_boot_usec() - call->began_usec);
}

void grpc_call_detach(struct grpc_call *call)
{
	struct grpc_conn *conn = call->conn;
	bool cut = !call->ended || call->cancel_due;

	if (!call->ended)
		grpc_call_tell_end(call, ERR_CANCELLED);
	if (call->deadline)
		event_free(call->deadline);
	call->deadline = NULL;
	if (call->todo)
		TAILQ_REMOVE(&conn->todo, call, todo_link);
	call->todo = 0;
	TAILQ_REMOVE(&conn->calls, call, link);
	conn->server->n_calls--;
	call->user->bytes -= call->charged;
	call->charged = 0;
	call->conn = NULL;
	call->ended = true;
	call->cancel_due = false;
	grpc_buf_finish(&call->held);
	grpc_buf_finish(&call->out);
	grpc_deframer_finish(&call->deframer);
	grpc_call_drop_request(call);
	if (cut)
		tell_cancelled(call);
	grpc_call_unref(call);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct grpc_call *call = arg;
	struct err err;

	(void)fd;
	(void)what;
	grpc_call_ref(call);
	err_set(&err, ERR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
		"the call's deadline has passed; what it began may still complete");
	if (grpc_buf_size(&call->out) > 0) {
		/* The client does not read, so it would never see a status behind these bytes. */
		nghttp2_submit_rst_stream(
			call->conn->session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
		grpc_conn_kick(call->conn);
	}
	end_for_handler(call, &err);
	grpc_call_unref(call);
}

/* --- The way in ------------------------------------------------------------------------------- */

static void begin(struct grpc_call *call, const ProtobufCMessage *request)
{
	struct grpc_server *server = call->conn->server;
	const char *resource = "";
	struct err err = {0};

	if (call->method->resource[0])
		resource = grpc_unpack_field(request, call->method->resource);
	if (server->authorize(&call->peer, call->method, resource, server->app, &err) != 0) {
		grpc_reply_end(call, &err);
		return;
	}
	call->started = true;
	call->handler->start(call, request);
}

static void take_message(struct grpc_call *call, const uint8_t *data, size_t size)
{
	ProtobufCMessage *message;
	struct err err = {0};
	size_t cost;
	int r = grpc_unpack(call->method->request, data, size, &message, &cost, &err);

	if (r < 0) {
		end_for_handler(call, &err);
		return;
	}
	if (!call->method->client_streaming) {
		if (call->request) {
			protobuf_c_message_free_unpacked(message, NULL);
			err_set(&err, ERR_UNIMPLEMENTED, "TOO_MANY_MESSAGES",
				"the method takes one request message, and a second one was sent");
			grpc_reply_end(call, &err);
			return;
		}
		call->request = message;
		if (!grpc_call_recharge(call, cost)) {
			grpc_call_refuse_bytes(&err);
			grpc_reply_end(call, &err);
		}
		return;
	}
	if (!call->started)
		begin(call, message);
	else
		call->handler->message(call, message);
	protobuf_c_message_free_unpacked(message, NULL);
}

/* Hands out messages while the handler takes them. Returns how many bytes were used. */
static size_t feed(struct grpc_call *call, const uint8_t *data, size_t size)
{
	const uint8_t *p = data;
	size_t left = size;

	while (!call->ended && call->receiving) {
		const uint8_t *message;
		size_t message_size;
		struct err err;
		int r = grpc_deframer_next(
			&call->deframer, &p, &left, &message, &message_size, &err);

		if (r == 0)
			break;
		if (r < 0)
			end_for_handler(call, &err);
		else
			take_message(call, message, message_size);
	}
	return call->ended ? size : size - left;
}

static void open_window(struct grpc_call *call, size_t size)
{
	if (call->conn && size)
		nghttp2_session_consume_stream(call->conn->session, call->stream_id, size);
}

void grpc_call_receive(struct grpc_call *call, const uint8_t *data, size_t size)
{
	size_t used = 0;
	struct err err;

	grpc_call_ref(call);
	if (grpc_buf_size(&call->held) == 0)
		used = feed(call, data, size);
	if (!call->ended && used < size &&
		grpc_buf_append(&call->held, data + used, size - used) < 0) {
		err_oom(&err);
		end_for_handler(call, &err);
	}
	if (!call->ended && !call->request && !grpc_call_recharge(call, 0)) {
		grpc_call_refuse_bytes(&err);
		end_for_handler(call, &err);
	}
	open_window(call, call->ended ? size : used);
	grpc_call_unref(call);
}

/* The client has said everything, and the handler has taken it. */
static void finish_request(struct grpc_call *call)
{
	ProtobufCMessage *request;
	struct err err;

	call->half_closed = true;
	if (!grpc_deframer_is_between(&call->deframer)) {
		err_set(&err, ERR_INTERNAL, "TRUNCATED_MESSAGE",
			"the request ended in the middle of a message");
		end_for_handler(call, &err);
		return;
	}
	if (call->method->client_streaming && call->started) {
		call->handler->half_closed(call);
		return;
	}
	request = call->request;
	if (!request) {
		err_set(&err, ERR_UNIMPLEMENTED, "MESSAGE_MISSING",
			"the request ended without a message");
		grpc_reply_end(call, &err);
		return;
	}
	call->request = NULL;
	grpc_call_recharge(call, 0);
	begin(call, request);
	protobuf_c_message_free_unpacked(request, NULL);
}

static void deliver(struct grpc_call *call)
{
	size_t held = grpc_buf_size(&call->held);

	if (held) {
		size_t used = feed(call, call->held.data + call->held.start, held);

		if (!call->ended) {
			grpc_buf_consume(&call->held, used);
			grpc_call_recharge(call, 0);
		}
		open_window(call, used);
	}
	if (!call->ended && call->receiving && call->remote_closed && !call->half_closed &&
		grpc_buf_size(&call->held) == 0)
		finish_request(call);
}

void grpc_call_remote_close(struct grpc_call *call)
{
	grpc_call_ref(call);
	call->remote_closed = true;
	deliver(call);
	grpc_call_unref(call);
}

void grpc_call_run_todo(struct grpc_call *call)
{
	unsigned todo = call->todo;

	call->todo = 0;
	if (call->cancel_due) {
		call->cancel_due = false;
		tell_cancelled(call);
	}
	if (todo & GRPC_TODO_DELIVER)
		deliver(call);
	if (todo & GRPC_TODO_WRITABLE && !call->ended && call->handler->writable)
		call->handler->writable(call);
}

/* --- Birth and references --------------------------------------------------------------------- */

static int set_deadline(struct grpc_call *call, uint64_t usec)
{
	struct timeval tv = {
		.tv_sec = (time_t)(usec / 1000000), .tv_usec = (suseconds_t)(usec % 1000000)};

	call->deadline = event_new(call->conn->server->base, -1, 0, on_deadline, call);
	return call->deadline && event_add(call->deadline, &tv) == 0 ? 0 : -1;
}

int grpc_call_open(struct grpc_conn *conn, int32_t stream_id, const struct grpc_request *request)
{
	struct grpc_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return NGHTTP2_ERR_NOMEM;
	call->refs = 1;
	call->conn = conn;
	call->user = conn->user;
	call->stream_id = stream_id;
	call->method = request->method;
	call->handler = conn->server->handlers[request->method - grpc_methods];
	call->app = conn->server->app;
	call->peer = conn->peer;
	call->receiving = true;
	call->began_usec = clock_boot_usec();
	if (request->has_timeout && set_deadline(call, request->timeout_usec) < 0) {
		if (call->deadline)
			event_free(call->deadline);
		free(call);
		return NGHTTP2_ERR_NOMEM;
	}
	TAILQ_INSERT_TAIL(&conn->calls, call, link);
	call->user->calls++;
	conn->server->n_calls++;
	conn->server->drain_ticks = 0;
	r = nghttp2_session_set_stream_user_data(conn->session, stream_id, call);
	if (r != 0)
		grpc_call_detach(call);
	return r;
}

struct grpc_call *grpc_call_ref(struct grpc_call *call)
{
	call->refs++;
	return call;
}

void grpc_call_unref(struct grpc_call *call)
{
	if (!call || --call->refs)
		return;
	grpc_user_call_gone(call->user);
	free(call);
}

bool grpc_call_is_open(const struct grpc_call *call)
{
	return !call->ended;
}

void *grpc_call_app(const struct grpc_call *call)
{
	return call->app;
}

const struct grpc_peer *grpc_call_peer(const struct grpc_call *call)
{
	return &call->peer;
}

const struct grpc_method *grpc_call_method(const struct grpc_call *call)
{
	return call->method;
}

struct grpc_server *grpc_call_server(const struct grpc_call *call)
{
	return call->conn ? call->conn->server : NULL;
}

void grpc_call_set_data(struct grpc_call *call, void *data)
{
	call->data = data;
}

void *grpc_call_data(const struct grpc_call *call)
{
	return call->data;
}

void grpc_call_set_receiving(struct grpc_call *call, bool on)
{
	if (call->ended || call->receiving == on)
		return;
	call->receiving = on;
	if (on)
		grpc_call_add_todo(call, GRPC_TODO_DELIVER);
}
