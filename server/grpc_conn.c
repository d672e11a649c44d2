/*
 * One connection: bytes between a bufferevent and an nghttp2 session, and the timers of both. What
 * callbacks queue is written out in the same turn of the loop, at one place (conn_run()). A
 * connection is never freed while it is on the stack: it is marked dead and freed at the end.
 *
 * The bufferevent may be a TLS one: then `direct` is false and everything goes through it.
 */
#include "base/cleanup.h"
#include "server/grpc_internal.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 16 /* of callbacks and framing, before other connections get their turn */

static const uint8_t drain_ping[8] = {'c', 'r', 'o', 'f', 't', 'e', 'n', 'd'};

static bool ends_stream(const nghttp2_frame *frame)
{
	return frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
}

/* --- nghttp2's callbacks ---------------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *conn = arg;

	(void)session;
	/* Also for a client's trailers, whose size counts as well and which say nothing more. */
	(void)frame;
	grpc_request_reset(&conn->request);
	conn->idle_ticks = 0;
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct grpc_conn *conn = arg;

	(void)session;
	(void)flags;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		grpc_request_add(&conn->request, name, name_len, value, value_len);
	else
		conn->request.list_size += name_len + value_len;
	/* A small block that unpacks without end is no mistake. */
	if (conn->request.list_size > 16 * GRPC_HEADERS_MAX)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_headers(struct grpc_conn *conn, const nghttp2_frame *frame)
{
	struct grpc_call *call;

	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		int r = grpc_request_finish(conn, frame->hd.stream_id);

		if (r == NGHTTP2_ERR_NOMEM)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (!ends_stream(frame))
		return 0;
	call = nghttp2_session_get_stream_user_data(conn->session, frame->hd.stream_id);
	if (call)
		grpc_call_remote_close(call);
	return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *conn = arg;
	struct grpc_call *call;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		return on_headers(conn, frame);
	case NGHTTP2_DATA:
		call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
		if (call && ends_stream(frame))
			grpc_call_remote_close(call);
		return 0;
	case NGHTTP2_PING:
		if (conn->goaway == 1 && frame->hd.flags & NGHTTP2_FLAG_ACK &&
			memcmp(frame->ping.opaque_data, drain_ping, sizeof(drain_ping)) == 0)
			conn->goaway_ticks = GRPC_GOAWAY_TICKS;
		return 0;
	default:
		return 0;
	}
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
	const uint8_t *data, size_t size, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream_id);

	(void)flags;
	(void)arg;
	/* One call that does not read must not stop the others: only its own window stays shut. */
	if (nghttp2_session_consume_connection(session, size) == NGHTTP2_ERR_NOMEM)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (call)
		grpc_call_receive(call, data, size);
	return 0;
}

static int on_stream_close(
	nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *arg)
{
	struct grpc_conn *conn = arg;
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream_id);

	(void)error_code;
	conn->idle_ticks = 0;
	if (call)
		grpc_call_detach(call);
	return 0;
}

/*
 * A reply that ended before its request asks the client to stop sending (RFC 9113, section 8.1);
 * otherwise the stream would stay until the client has sent all of it.
 */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct grpc_conn *conn = arg;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	grpc_guard_reset(&conn->guard);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
		nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
		nghttp2_submit_rst_stream(
			session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

int grpc_conn_init_library(struct grpc_server *server, struct err *err)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&server->callbacks) != 0 ||
		nghttp2_option_new(&server->options) != 0)
		return err_oom(err);
	callbacks = server->callbacks;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	/* Windows open as calls read, not as bytes arrive. */
	nghttp2_option_set_no_auto_window_update(server->options, 1);
	/* Closed streams are kept for a priority scheme that gRPC does not use. */
	nghttp2_option_set_no_closed_streams(server->options, 1);
	return 0;
}

/* --- Reading and writing ---------------------------------------------------------------------- */

static void write_out(struct grpc_conn *conn, const uint8_t *data, size_t size)
{
	struct evbuffer *output = bufferevent_get_output(conn->bev);

	if (conn->direct && evbuffer_get_length(output) == 0) {
		ssize_t n = send(conn->fd, data, size, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			conn->dead = true;
			return;
		}
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	if (size && bufferevent_write(conn->bev, data, size) < 0)
		conn->dead = true;
}

static bool output_is_high(const struct grpc_conn *conn)
{
	return evbuffer_get_length(bufferevent_get_output(conn->bev)) >= GRPC_OUT_HIGH;
}

/* Frames what is queued and writes it, up to what the peer is ready to take. */
static void flush(struct grpc_conn *conn)
{
	uint8_t *scratch = conn->server->scratch;
	size_t used = 0;

	while (!conn->dead && !output_is_high(conn)) {
		const uint8_t *frame;
		ssize_t n = nghttp2_session_mem_send(conn->session, &frame);

		if (n < 0) {
			conn->dead = true;
			return;
		}
		if (used && (n == 0 || used + (size_t)n > GRPC_SCRATCH_SIZE)) {
			write_out(conn, scratch, used);
			used = 0;
		}
		if (n == 0)
			return;
		if ((size_t)n > GRPC_SCRATCH_SIZE) {
			write_out(conn, frame, (size_t)n);
			continue;
		}
		memcpy(scratch + used, frame, (size_t)n);
		used += (size_t)n;
	}
	if (used && !conn->dead)
		write_out(conn, scratch, used);
}

static void run_todo(struct grpc_conn *conn)
{
	struct grpc_call *call;

	while ((call = TAILQ_FIRST(&conn->todo))) {
		TAILQ_REMOVE(&conn->todo, call, todo_link);
		grpc_call_ref(call);
		grpc_call_run_todo(call);
		grpc_call_unref(call);
	}
}

/*
 * A peer that does not read what it asked for is not listened to: else its requests would fill
 * the memory that its replies do not leave.
 */
static void update_reading(struct grpc_conn *conn)
{
	bool pause = output_is_high(conn);

	if (pause == conn->read_paused)
		return;
	conn->read_paused = pause;
	if (pause)
		bufferevent_disable(conn->bev, EV_READ);
	else
		bufferevent_enable(conn->bev, EV_READ);
}

static bool is_finished(struct grpc_conn *conn)
{
	return !nghttp2_session_want_read(conn->session) &&
	       !nghttp2_session_want_write(conn->session) &&
	       evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0;
}

/* The second step of a graceful stop, when its time has come. */
static void advance_drain(struct grpc_conn *conn)
{
	if (conn->goaway != 1 || conn->goaway_ticks < GRPC_GOAWAY_TICKS)
		return;
	conn->goaway = 2;
	nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(conn->session), NGHTTP2_NO_ERROR, NULL, 0);
}

/* The end of every entry from the loop: callbacks, frames, bytes; and destruction if it is due. */
static void conn_run(struct grpc_conn *conn)
{
	static const struct timeval at_once = {0};
	int rounds = 0;

	conn->running = true;
	advance_drain(conn);
	do {
		run_todo(conn);
		flush(conn);
	} while (!conn->dead && !TAILQ_EMPTY(&conn->todo) && ++rounds < ROUNDS_MAX);
	conn->running = false;
	if (conn->dead || is_finished(conn)) {
		grpc_conn_destroy(conn);
		return;
	}
	if (!TAILQ_EMPTY(&conn->todo)) /* behind what the other connections have sent meanwhile */
		event_add(conn->run_event, &at_once);
	update_reading(conn);
}

static void on_run(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_run(arg);
}

void grpc_conn_kick(struct grpc_conn *conn)
{
	if (!conn->running)
		event_active(conn->run_event, EV_TIMEOUT, 0);
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct grpc_conn *conn = arg;

	conn->running = true;
	while (!conn->dead) {
		size_t size = evbuffer_get_contiguous_space(input);
		const uint8_t *data;
		ssize_t n;

		if (!size)
			break;
		data = evbuffer_pullup(input, (ev_ssize_t)size);
		if (!grpc_guard_feed(&conn->guard, data, size))
			nghttp2_session_terminate_session(conn->session, NGHTTP2_ENHANCE_YOUR_CALM);
		n = nghttp2_session_mem_recv(conn->session, data, size);
		if (n < 0)
			conn->dead = true;
		evbuffer_drain(input, size);
	}
	conn_run(conn);
}

static void on_writable(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_run(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct grpc_conn *conn = arg;

	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
		grpc_conn_destroy(conn);
}

/* --- Timers, start and stop ------------------------------------------------------------------- */

void grpc_conn_start_drain(struct grpc_conn *conn)
{
	if (conn->goaway)
		return;
	conn->goaway = 1;
	conn->goaway_ticks = 0;
	if (grpc_guard_in_preface(&conn->guard)) {
		conn->dead = true; /* it has asked for nothing yet */
	} else {
		/* The PING's answer says that every request sent before the notice has arrived. */
		nghttp2_submit_shutdown_notice(conn->session);
		nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, drain_ping);
	}
	grpc_conn_kick(conn);
}

void grpc_conn_tick(struct grpc_conn *conn)
{
	/* Nothing is held against a peer that is not being listened to. */
	if (!conn->read_paused && !grpc_guard_tick(&conn->guard))
		conn->dead = true;
	if (conn->goaway)
		conn->goaway_ticks++;
	if (TAILQ_EMPTY(&conn->calls) && ++conn->idle_ticks >= conn->server->idle_ticks_max)
		grpc_conn_start_drain(conn);
	if (conn->dead || conn->goaway)
		conn_run(conn);
}

static int init_session(struct grpc_conn *conn, struct err *err)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_MAX},
	};

	if (nghttp2_session_server_new2(
		    &conn->session, conn->server->callbacks, conn, conn->server->options) != 0)
		return err_oom(err);
	if (nghttp2_submit_settings(
		    conn->session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)) != 0 ||
		nghttp2_session_set_local_window_size(
			conn->session, NGHTTP2_FLAG_NONE, 0, GRPC_CONN_WINDOW) != 0)
		return err_oom(err);
	return 0;
}

static void conn_free(struct grpc_conn *conn)
{
	if (conn->session)
		nghttp2_session_del(conn->session);
	if (conn->run_event)
		event_free(conn->run_event);
	if (conn->bev) {
		/* Freeing is put off by libevent: what it watches must end before fd is reused. */
		bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
		bufferevent_free(conn->bev);
	}
	free(conn);
}

int grpc_conn_create(struct grpc_server *server, int fd, const struct grpc_peer *peer,
	struct grpc_user *user, struct err *err)
{
	struct grpc_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn)
		return err_oom(err);
	conn->server = server;
	conn->peer = *peer;
	conn->user = user;
	conn->fd = fd;
	conn->direct = true;
	TAILQ_INIT(&conn->calls);
	TAILQ_INIT(&conn->todo);
	grpc_guard_init(&conn->guard);
	conn->run_event = event_new(server->base, -1, 0, on_run, conn);
	conn->bev = bufferevent_socket_new(server->base, fd, 0);
	r = conn->run_event && conn->bev ? init_session(conn, err) : err_oom(err);
	if (r < 0) {
		conn_free(conn);
		return r;
	}
	bufferevent_setcb(conn->bev, on_readable, on_writable, on_event, conn);
	bufferevent_set_timeouts(conn->bev, NULL, &server->write_timeout);
	bufferevent_set_max_single_read(conn->bev, GRPC_READ_MAX);
	if (bufferevent_enable(conn->bev, EV_READ) < 0) { /* writing is on from the start */
		conn_free(conn);
		return err_oom(err);
	}
	LIST_INSERT_HEAD(&server->conns, conn, link);
	grpc_conn_kick(conn); /* our SETTINGS */
	return 0;
}

void grpc_conn_destroy(struct grpc_conn *conn)
{
	struct grpc_server *server = conn->server;
	struct grpc_user *user = conn->user;
	struct grpc_call *call;
	int fd = conn->fd;

	conn->running = true; /* no turn of the loop for what the calls still say */
	while ((call = TAILQ_FIRST(&conn->calls)))
		grpc_call_detach(call);
	LIST_REMOVE(conn, link);
	conn_free(conn);
	close(fd);
	grpc_server_conn_gone(server, user);
}
