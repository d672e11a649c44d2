/*
 * The gRPC client; see client.h. Speaks HTTP/2 by nghttp2 and nothing else; must never block
 * outside poll(2), believe a length the peer sent, or hold more of a stream than its window.
 */
#include "cli/client.h"

#include "base/cleanup.h"
#include "cli/buffer.h"
#include "cli/dial.h"
#include "cli/status.h"
#include "cli/uuid.h"

#include <nghttp2/nghttp2.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGE_HEADER	  5u	    /* flag and length: "Length-Prefixed-Message" */
#define STREAM_WINDOW	  (1 << 20) /* bytes the server may send ahead of the reader */
#define CONNECTION_WINDOW (2 << 20)
#define OUTPUT_BATCH	  (64u << 10)  /* frames gathered for one write */
#define CALL_QUEUE_MAX	  (256u << 10) /* unsent bytes above which a call is not writable */
#define METHOD_PATH_MAX	  160

struct client {
	int fd;
	nghttp2_session *session;
	struct buffer out; /* frames not yet written */
	struct err broken; /* code ERR_OK: the connection works */
	char address[300];
};

struct call {
	struct client *client;
	const ProtobufCMessageDescriptor *reply;
	int32_t stream; /* -1 once nghttp2 has closed it */
	struct status status;
	uint32_t reset; /* HTTP/2 error code of a stream that was closed without a status */
	int failed;	/* -ENOMEM from within a callback */
	struct buffer in;
	size_t unacknowledged; /* received bytes whose window has not been given back */
	struct buffer out;
	bool half_closed; /* by us */
	bool deferred;	  /* nghttp2 waits for call_send() */
};

static struct call *call_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *arg)
{
	struct call *call = call_of(session, frame->hd.stream_id);

	(void)flags;
	(void)arg;
	if (call && status_add_header(&call->status, (const char *)name, name_size,
			    (const char *)value, value_size) < 0)
		call->failed = -ENOMEM;
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
	size_t size, void *arg)
{
	struct call *call = call_of(session, stream);

	(void)flags;
	(void)arg;
	if (!call || buffer_append(&call->in, data, size) < 0) {
		if (call)
			call->failed = -ENOMEM;
		return nghttp2_session_consume(session, stream, size);
	}
	call->unacknowledged += size;
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
	struct call *call = call_of(session, stream);

	(void)arg;
	if (call) {
		call->stream = -1;
		call->reset = error;
	}
	return 0;
}

static int make_session(struct client *client)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
	};
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int r = nghttp2_session_callbacks_new(&callbacks);

	if (!r)
		r = nghttp2_option_new(&option);
	if (!r) {
		nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
		nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
		nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
		nghttp2_option_set_no_auto_window_update(option, 1);
		r = nghttp2_session_client_new2(&client->session, callbacks, client, option);
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	if (!r)
		r = nghttp2_submit_settings(
			client->session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	if (!r)
		r = nghttp2_session_set_local_window_size(
			client->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
	return r ? -ENOMEM : 0;
}

int client_connect(const char *address, struct client **ret, struct err *err)
{
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return err_oom(err);
	snprintf(client->address, sizeof(client->address), "%s", address);
	r = dial_connect(address, &client->fd, err);
	if (r < 0) {
		free(client);
		return r;
	}
	if (make_session(client) < 0) {
		client_destroy(client);
		return err_oom(err);
	}
	*ret = client;
	return 0;
}

void client_destroy(struct client *client)
{
	if (!client)
		return;
	nghttp2_session_del(client->session);
	buffer_finish(&client->out);
	close_fd(&client->fd);
	free(client);
}

/* Remembers the first fault: every later use of the connection reports the same. */
static int break_connection(struct client *client, const char *what)
{
	if (client->broken.code == ERR_OK)
		err_set(&client->broken, ERR_UNAVAILABLE, "CONNECTION_LOST",
			"the connection to croftd at %s ended early (%s); what was asked may or "
			"may not have been done",
			client->address, what);
	return -ECONNRESET;
}

static int gather_frames(struct client *client)
{
	while (buffer_size(&client->out) < OUTPUT_BATCH) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(client->session, &data);

		if (n < 0 || (n > 0 && buffer_append(&client->out, data, (size_t)n) < 0))
			return break_connection(client, "cannot send");
		if (n == 0)
			break;
	}
	return 0;
}

static int flush_output(struct client *client)
{
	for (;;) {
		ssize_t n;

		if (gather_frames(client) < 0)
			return -ECONNRESET;
		if (!buffer_size(&client->out))
			break;
		n = send(client->fd, buffer_bytes(&client->out), buffer_size(&client->out),
			MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return break_connection(client, strerror(errno));
		buffer_take(&client->out, (size_t)n);
	}
	/* After a fault of the peer's, nghttp2 sends GOAWAY, and then waits for nothing any more.
	 */
	if (!nghttp2_session_want_read(client->session) &&
		!nghttp2_session_want_write(client->session))
		return break_connection(client, "HTTP/2 protocol error");
	return 0;
}

/* Reads what is there. A peer that closed may have answered first, so sending comes second. */
static int read_input(struct client *client)
{
	uint8_t data[16384];

	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(client->fd, data, sizeof(data), 0);
		ssize_t used;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return break_connection(client, n ? strerror(errno) : "closed");
		used = nghttp2_session_mem_recv(client->session, data, (size_t)n);
		if (used < 0)
			return break_connection(client, nghttp2_strerror((int)used));
		if (n < (ssize_t)sizeof(data))
			return 0;
	}
	return 0;
}

int client_wait(
	struct client *client, struct pollfd *others, size_t n, int timeout_ms, struct err *err)
{
	bool was_broken = client->broken.code != ERR_OK;
	struct pollfd fds[8];

	if (n + 1 > ARRAY_SIZE(fds))
		return err_sys(err, E2BIG, "wait for the server");
	for (size_t i = 0; i < n; i++)
		others[i].revents = 0;
	/* A connection that has just been lost is call_next()'s to tell: do not wait. */
	if (was_broken ? n == 0 : flush_output(client) < 0)
		return 0;
	fds[0] = (struct pollfd){.fd = was_broken ? -1 : client->fd, .events = POLLIN};
	if (buffer_size(&client->out))
		fds[0].events |= POLLOUT;
	if (n)
		memcpy(fds + 1, others, n * sizeof(*others));
	if (poll(fds, n + 1, timeout_ms) < 0)
		return errno == EINTR ? 0 : err_sys(err, errno, "wait for the server");
	if (n)
		memcpy(others, fds + 1, n * sizeof(*others));
	if (fds[0].revents && read_input(client) == 0)
		flush_output(client);
	return 0;
}

/* nghttp2 asks for body bytes of a stream. */
static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct call *call = call_of(session, stream);
	size_t n;

	(void)source;
	(void)arg;
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = buffer_size(&call->out) < size ? buffer_size(&call->out) : size;
	if (!n && !call->half_closed) {
		call->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n) {
		memcpy(to, buffer_bytes(&call->out), n);
		buffer_take(&call->out, n);
	}
	if (call->half_closed && !buffer_size(&call->out))
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){.name = (uint8_t *)name,
		.value = (uint8_t *)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
		.flags = NGHTTP2_NV_FLAG_NONE};
}

static int submit_request(struct call *call, const char *path)
{
	const nghttp2_nv headers[] = {
		header(":method", "POST"),
		header(":scheme", "http"),
		header(":path", path),
		header(":authority", "localhost"),
		header("te", "trailers"),
		header("content-type", "application/grpc"),
		header("user-agent", "croft/" CROFT_VERSION),
	};
	const nghttp2_data_provider body = {.read_callback = read_body};

	call->stream = nghttp2_submit_request(
		call->client->session, NULL, headers, ARRAY_SIZE(headers), &body, call);
	return call->stream < 0 ? -ENOMEM : 0;
}

int call_open(struct client *client, const ProtobufCServiceDescriptor *service, const char *method,
	struct call **ret, struct err *err)
{
	const ProtobufCMethodDescriptor *m = protobuf_c_service_descriptor_get_method_by_name(
		service, method);
	struct call *call;
	char path[METHOD_PATH_MAX];

	if (!m)
		return err_set(err, ERR_UNIMPLEMENTED, "NO_SUCH_METHOD", "%s has no method %s",
			service->name, method);
	call = calloc(1, sizeof(*call));
	if (!call)
		return err_oom(err);
	call->client = client;
	call->reply = m->output;
	status_init(&call->status);
	snprintf(path, sizeof(path), "/%s/%s", service->name, m->name);
	if (submit_request(call, path) < 0) {
		free(call);
		return err_oom(err);
	}
	*ret = call;
	return 0;
}

void call_destroy(struct call *call)
{
	if (!call)
		return;
	if (call->stream >= 0) {
		nghttp2_session_set_stream_user_data(call->client->session, call->stream, NULL);
		nghttp2_submit_rst_stream(
			call->client->session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
		nghttp2_session_consume(call->client->session, call->stream, call->unacknowledged);
		if (call->client->broken.code == ERR_OK)
			flush_output(call->client);
	}
	status_finish(&call->status);
	buffer_finish(&call->in);
	buffer_finish(&call->out);
	free(call);
}

/* Body bytes are there again: lets nghttp2 ask for them. */
static int resume_body(struct call *call)
{
	if (!call->deferred || call->stream < 0)
		return 0;
	call->deferred = false;
	return nghttp2_session_resume_data(call->client->session, call->stream) ? -ENOMEM : 0;
}

int call_send(struct call *call, const ProtobufCMessage *message, struct err *err)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *to;

	/* Once the stream is closed its status says why; call_next() returns it. */
	if (call->stream < 0)
		return 0;
	if (size > CLIENT_MESSAGE_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "MESSAGE_TOO_LARGE",
			"the request is larger than 4 MiB");
	to = buffer_reserve(&call->out, size + MESSAGE_HEADER);
	if (!to)
		return err_oom(err);
	to[0] = 0;
	to[1] = (uint8_t)(size >> 24);
	to[2] = (uint8_t)(size >> 16);
	to[3] = (uint8_t)(size >> 8);
	to[4] = (uint8_t)size;
	protobuf_c_message_pack(message, to + MESSAGE_HEADER);
	call->out.end += size + MESSAGE_HEADER;
	return resume_body(call) < 0 ? err_oom(err) : 0;
}

int call_half_close(struct call *call, struct err *err)
{
	call->half_closed = true;
	return resume_body(call) < 0 ? err_oom(err) : 0;
}

bool call_is_writable(const struct call *call)
{
	return buffer_size(&call->out) < CALL_QUEUE_MAX;
}

/* Gives the peer `size` bytes of window back: they have been taken, or must be to go on. */
static void acknowledge(struct call *call, size_t size)
{
	if (size > call->unacknowledged)
		size = call->unacknowledged;
	call->unacknowledged -= size;
	if (!size)
		return;
	if (call->stream >= 0)
		nghttp2_session_consume(call->client->session, call->stream, size);
	else
		nghttp2_session_consume_connection(call->client->session, size);
}

/* Unpacks the first message in call->in if it is complete. */
static int take_message(struct call *call, ProtobufCMessage **ret_message, struct err *err)
{
	const uint8_t *p = buffer_bytes(&call->in);
	ProtobufCMessage *message;
	size_t size;

	if (buffer_size(&call->in) < MESSAGE_HEADER)
		return CALL_NOTHING;
	size = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (p[0] || size > CLIENT_MESSAGE_MAX)
		return err_set(err, ERR_INTERNAL, "MESSAGE_INVALID",
			"the server sent a message that is %s",
			p[0] ? "compressed, which was not agreed" : "larger than 4 MiB");
	if (buffer_size(&call->in) - MESSAGE_HEADER < size)
		return CALL_NOTHING;
	message = protobuf_c_message_unpack(call->reply, NULL, size, p + MESSAGE_HEADER);
	if (!message)
		return err_set(err, ERR_INTERNAL, "MESSAGE_INVALID",
			"the server sent a malformed %s; do its version and this croft's match?",
			call->reply->short_name);
	buffer_take(&call->in, size + MESSAGE_HEADER);
	acknowledge(call, size + MESSAGE_HEADER);
	*ret_message = message;
	return CALL_MESSAGE;
}

int call_next(struct call *call, ProtobufCMessage **ret_message, struct err *err)
{
	struct client *client = call->client;
	int r;

	if (call->failed)
		return err_oom(err);
	r = take_message(call, ret_message, err);
	if (r != CALL_NOTHING)
		return r;
	if (call->stream < 0 && call->status.grpc_status < 0 && call->reset)
		return status_from_reset(call->reset, err);
	if (call->stream < 0) {
		r = status_to_err(&call->status, err);
		if (r == 0 && buffer_size(&call->in))
			return err_set(err, ERR_INTERNAL, "MESSAGE_INVALID",
				"the server ended the call in the middle of a message");
		return r < 0 ? r : CALL_END;
	}
	if (client->broken.code != ERR_OK) {
		if (err)
			*err = client->broken;
		return err_code_to_errno((enum err_code)client->broken.code);
	}
	/* A part of one message, of at most CLIENT_MESSAGE_MAX: the rest needs the window. */
	acknowledge(call, call->unacknowledged);
	return CALL_NOTHING;
}

int call_receive(struct call *call, ProtobufCMessage **ret_message, struct err *err)
{
	for (;;) {
		int r = call_next(call, ret_message, err);

		if (r != CALL_NOTHING)
			return r;
		r = client_wait(call->client, NULL, 0, -1, err);
		if (r < 0)
			return r;
	}
}

/* The address of the request's `request_id` when it has one and it is empty, else NULL. */
static char **empty_request_id(ProtobufCMessage *request)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(
		request->descriptor, "request_id");
	char **value;

	if (!f || f->type != PROTOBUF_C_TYPE_STRING || f->label == PROTOBUF_C_LABEL_REPEATED)
		return NULL;
	value = (char **)((char *)request + f->offset);
	return *value && **value ? NULL : value;
}

static int receive_only(struct call *call, ProtobufCMessage **ret_reply, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	_cleanup_message_ ProtobufCMessage *more = NULL;
	int r = call_receive(call, &reply, err);

	if (r < 0)
		return r;
	if (r == CALL_MESSAGE)
		r = call_receive(call, &more, err);
	if (r < 0)
		return r;
	if (!reply || more)
		return err_set(err, ERR_INTERNAL, "REPLY_COUNT",
			"the server sent %s reply to a call that has one",
			more ? "a second" : "no");
	*ret_reply = take_ptr(reply);
	return 0;
}

int call_unary(struct client *client, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, ProtobufCMessage **ret_reply, struct err *err)
{
	_cleanup_call_ struct call *call = NULL;
	char **request_id = empty_request_id(request);
	char uuid[UUID_SIZE];
	char *given = NULL;
	int r = request_id ? uuid_random(uuid, err) : 0;

	if (r < 0)
		return r;
	r = call_open(client, service, method, &call, err);
	if (r < 0)
		return r;
	if (request_id) {
		given = *request_id;
		*request_id = uuid;
	}
	r = call_send(call, request, err);
	if (request_id)
		*request_id = given;
	if (r == 0)
		r = call_half_close(call, err);
	if (r < 0)
		return r;
	return receive_only(call, ret_reply, err);
}
