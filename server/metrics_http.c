/*
 * evhttp and the gate before it; see metrics_http.h.
 *
 * The gate holds a reference to each connection's bufferevent, so that it can count those that
 * there are, and end one: by shutting its socket down, which evhttp takes for the client's going.
 * That evhttp has let go of a bufferevent shows in its callbacks, which are gone then. The socket
 * is closed with the last reference.
 */
#include "server/metrics_http.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define TICK_MS	     500
#define MAKE_ROOM_MS 2 /* until evhttp has seen that the one that was ended is gone */
#define BODY_MAX     256
/* Bytes of one that are read ahead; also when evhttp has freed it, and nobody takes them. */
#define READ_MAX (2 * METRICS_HEADERS_MAX)

struct gated {
	TAILQ_ENTRY(gated) entry;
	struct bufferevent *bev; /* a reference */
	uint64_t since_usec;	 /* it was accepted, or its last request came */
	bool ended;
};

struct metrics_http {
	struct metrics_http_config config;
	struct evhttp *evhttp;
	struct evconnlistener *listener; /* evhttp's */
	struct event *tick;
	TAILQ_HEAD(gated_list, gated) conns; /* in order of since_usec */
	unsigned n_conns;
	bool paused; /* accepts nobody */
};

struct metrics_scrape {
	struct evhttp_request *request;
	enum metrics_format format;
};

/* --- The gate --------------------------------------------------------------------------------- */

/* evhttp has freed it: what is left is our reference. */
static bool is_gone(const struct gated *conn)
{
	bufferevent_event_cb event = NULL;

	bufferevent_getcb(conn->bev, NULL, NULL, &event, NULL);
	return !event;
}

static void drop(struct metrics_http *http, struct gated *conn)
{
	TAILQ_REMOVE(&http->conns, conn, entry);
	http->n_conns--;
	bufferevent_decref(conn->bev);
	free(conn);
}

static void reap(struct metrics_http *http)
{
	struct gated *next;

	for (struct gated *conn = TAILQ_FIRST(&http->conns); conn; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		if (is_gone(conn))
			drop(http, conn);
	}
}

static void end(struct gated *conn)
{
	if (!conn->ended)
		shutdown(bufferevent_getfd(conn->bev), SHUT_RDWR);
	conn->ended = true;
}

static void end_late(struct metrics_http *http)
{
	uint64_t limit = (uint64_t)http->config.seconds * 1000000;
	uint64_t now = clock_boot_usec();
	struct gated *conn;

	TAILQ_FOREACH (conn, &http->conns, entry) {
		if (now - conn->since_usec < limit)
			return;
		end(conn);
	}
}

/* One is enough: it makes the room that the next needs. */
static void end_oldest(struct metrics_http *http)
{
	struct gated *conn;

	TAILQ_FOREACH (conn, &http->conns, entry) {
		if (!conn->ended) {
			end(conn);
			return;
		}
	}
}

static void wait_for(struct metrics_http *http, unsigned ms)
{
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	evtimer_add(http->tick, &pause);
}

static void pause_accepting(struct metrics_http *http)
{
	http->paused = true;
	evconnlistener_disable(http->listener);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct metrics_http *http = arg;

	(void)fd;
	(void)what;
	reap(http);
	end_late(http);
	if (http->paused && http->n_conns < http->config.conns_max) {
		http->paused = false;
		evconnlistener_enable(http->listener);
	}
	if (http->n_conns)
		wait_for(http, http->paused ? MAKE_ROOM_MS : TICK_MS);
}

/* evhttp's way of asking for a bufferevent: somebody was accepted. */
static struct bufferevent *on_accepted(struct event_base *base, void *arg)
{
	struct metrics_http *http = arg;
	struct gated *conn = calloc(1, sizeof(*conn));
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (!conn || !bev) {
		/* evhttp makes one itself, which nobody counts: nobody else comes in for now. */
		log_error("no-memory for=metrics");
		free(conn);
		pause_accepting(http);
		wait_for(http, TICK_MS);
		return bev;
	}
	bufferevent_incref(bev);
	bufferevent_setwatermark(bev, EV_READ, 0, READ_MAX);
	reap(http);
	conn->bev = bev;
	conn->since_usec = clock_boot_usec();
	TAILQ_INSERT_TAIL(&http->conns, conn, entry);
	http->n_conns++;
	if (http->n_conns >= http->config.conns_max) {
		pause_accepting(http);
		end_oldest(http);
		wait_for(http, 0);
	} else if (!evtimer_pending(http->tick, NULL)) {
		wait_for(http, TICK_MS);
	}
	return bev;
}

/* Descriptors have run out, most likely: to ask again at once would only spin. */
static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct metrics_http *http = arg;

	(void)listener;
	pause_accepting(http);
	wait_for(http, TICK_MS);
}

/* It has sent a whole request: as good as new. */
static void touch(struct metrics_http *http, const struct bufferevent *bev)
{
	struct gated *conn;

	TAILQ_FOREACH (conn, &http->conns, entry)
		if (conn->bev == bev)
			break;
	if (!conn)
		return;
	conn->since_usec = clock_boot_usec();
	TAILQ_REMOVE(&http->conns, conn, entry);
	TAILQ_INSERT_TAIL(&http->conns, conn, entry);
}

/* --- Requests --------------------------------------------------------------------------------- */

static void reply_text(
	struct evhttp_request *request, int status, const char *reason, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
		"text/plain; charset=utf-8");
	if (body)
		evbuffer_add(body, text, strlen(text));
	evhttp_send_reply(request, status, reason, body);
	if (body)
		evbuffer_free(body);
}

static bool is_allowed(struct metrics_http *http, struct evhttp_request *request)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(request);
	struct bufferevent *bev = conn ? evhttp_connection_get_bufferevent(conn) : NULL;

	if (!bev)
		return false;
	touch(http, bev);
	return http->config.allowed(http->config.arg, bufferevent_getfd(bev));
}

static void on_metrics(struct evhttp_request *request, void *arg)
{
	struct metrics_http *http = arg;
	struct metrics_scrape *scrape;

	if (!is_allowed(http, request)) {
		reply_text(request, 403, "Forbidden", "only operators may read the figures\n");
		return;
	}
	scrape = malloc(sizeof(*scrape));
	if (!scrape) {
		reply_text(request, 503, "Service Unavailable", "out of memory\n");
		return;
	}
	scrape->request = request;
	scrape->format = metrics_accept(
		evhttp_find_header(evhttp_request_get_input_headers(request), "Accept"));
	http->config.scrape(http->config.arg, scrape, scrape->format);
}

static void on_other(struct evhttp_request *request, void *arg)
{
	struct metrics_http *http = arg;

	is_allowed(http, request);
	reply_text(request, 404, "Not Found", "the figures are at /metrics\n");
}

struct sending {
	void (*sent)(void *arg);
	void *arg;
};

static void on_sent(const void *data, size_t size, void *arg)
{
	struct sending *sending = arg;

	(void)data;
	(void)size;
	sending->sent(sending->arg);
	free(sending);
}

void metrics_http_reply(struct metrics_scrape *scrape, const char *data, size_t size,
	void (*sent)(void *arg), void *arg)
{
	struct evhttp_request *request = scrape->request;
	const char *type = metrics_content_type(scrape->format);
	struct evbuffer *body = data ? evbuffer_new() : NULL;
	struct sending *sending = body ? malloc(sizeof(*sending)) : NULL;

	free(scrape);
	if (sending) {
		*sending = (struct sending){sent, arg};
		if (evbuffer_add_reference(body, data, size, on_sent, sending) < 0) {
			free(sending);
			sending = NULL;
		}
	}
	if (sending) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
		evhttp_add_header(evhttp_request_get_output_headers(request), "Vary", "Accept");
		evhttp_send_reply(request, 200, "OK", body);
	} else {
		sent(arg);
		reply_text(request, 503, "Service Unavailable", "try again\n");
	}
	if (body)
		evbuffer_free(body);
}

/* --- Making and taking apart ------------------------------------------------------------------ */

static int listen_on(struct metrics_http *http, int fd, struct err *err)
{
	/* The listener frees itself with evhttp; until then its descriptor is ours. */
	struct evconnlistener *listener = evconnlistener_new(http->config.base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);

	if (!listener) {
		close_fd(&fd);
		return err_oom(err);
	}
	if (!evhttp_bind_listener(http->evhttp, listener)) {
		evconnlistener_free(listener);
		return err_oom(err);
	}
	http->listener = listener;
	evconnlistener_set_error_cb(listener, on_accept_failed);
	return 0;
}

static int set_up(struct metrics_http *http, int fd, struct err *err)
{
	http->evhttp = evhttp_new(http->config.base);
	http->tick = evtimer_new(http->config.base, on_tick, http);
	if (!http->evhttp || !http->tick) {
		close_fd(&fd);
		return err_oom(err);
	}
	evhttp_set_allowed_methods(http->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http->evhttp, METRICS_HEADERS_MAX);
	evhttp_set_max_body_size(http->evhttp, BODY_MAX);
	evhttp_set_timeout(http->evhttp, (int)http->config.seconds);
	evhttp_set_bevcb(http->evhttp, on_accepted, http);
	evhttp_set_gencb(http->evhttp, on_other, http);
	if (evhttp_set_cb(http->evhttp, "/metrics", on_metrics, http) < 0) {
		close_fd(&fd);
		return err_oom(err);
	}
	return listen_on(http, fd, err);
}

int metrics_http_create(const struct metrics_http_config *config, int fd, struct metrics_http **ret,
	struct err *err)
{
	struct metrics_http *http = calloc(1, sizeof(*http));
	int r;

	if (!http) {
		close_fd(&fd);
		return err_oom(err);
	}
	http->config = *config;
	if (!http->config.conns_max)
		http->config.conns_max = METRICS_CONNS_MAX;
	if (!http->config.seconds)
		http->config.seconds = METRICS_SECONDS;
	TAILQ_INIT(&http->conns);
	r = set_up(http, fd, err);
	if (r < 0) {
		metrics_http_destroy(http);
		return r;
	}
	*ret = http;
	return 0;
}

void metrics_http_destroy(struct metrics_http *http)
{
	struct gated *conn;

	if (!http)
		return;
	if (http->evhttp)
		evhttp_free(http->evhttp);
	while ((conn = TAILQ_FIRST(&http->conns)))
		drop(http, conn);
	if (http->tick)
		event_free(http->tick);
	free(http);
}
