/*
 * The server: listening sockets, who may connect, the once-a-second timer, start and stop. It never
 * looks into a stream; and it never takes the last descriptors, which the rest of croftd needs.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/grpc_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void on_accept(evutil_socket_t fd, short what, void *arg);

static int compare_path(const void *key, const void *row)
{
	return strcmp(key, ((const struct grpc_method *)row)->path);
}

const struct grpc_method *grpc_method_find(const char *path)
{
	return bsearch(path, grpc_methods, grpc_n_methods, sizeof(*grpc_methods), compare_path);
}

/* --- What is charged to a peer ------------------------------------------------------------- */

bool grpc_user_charge(struct grpc_user *user, size_t bytes)
{
	if (user->bytes > user->bytes_max || bytes > user->bytes_max - user->bytes)
		return false;
	user->bytes += bytes;
	return true;
}

static struct grpc_user *user_find(const struct grpc_server *server, const struct grpc_peer *peer,
	const uint8_t address[static 16])
{
	struct grpc_user *user;

	LIST_FOREACH (user, &server->users, link) {
		if (user->local == peer->local && user->uid == peer->uid &&
			memcmp(user->address, address, sizeof(user->address)) == 0)
			break;
	}
	return user;
}

static struct grpc_user *user_get(
	struct grpc_server *server, const struct grpc_peer *peer, const uint8_t address[static 16])
{
	struct grpc_user *user = user_find(server, peer, address);

	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->local = peer->local;
		user->uid = peer->uid;
		memcpy(user->address, address, sizeof(user->address));
		user->listed = true;
		LIST_INSERT_HEAD(&server->users, user, link);
	}
	/* An operator's group may have changed since the last connection. */
	user->connections_max = peer->admin ? GRPC_OPERATOR_CONNS_MAX : GRPC_TENANT_CONNS_MAX;
	user->calls_max = peer->admin ? GRPC_OPERATOR_CALLS_MAX : GRPC_TENANT_CALLS_MAX;
	user->bytes_max = peer->admin ? GRPC_OPERATOR_BYTES_MAX : GRPC_TENANT_BYTES_MAX;
	user->connections++;
	return user;
}

static void user_free_unused(struct grpc_user *user)
{
	if (user->connections || user->calls)
		return;
	if (user->listed)
		LIST_REMOVE(user, link);
	free(user);
}

static void user_put(struct grpc_user *user)
{
	user->connections--;
	user_free_unused(user);
}

void grpc_user_call_gone(struct grpc_user *user)
{
	user->calls--;
	user_free_unused(user);
}

/* Calls that are still worked for outlive the server. */
static void unlist_users(struct grpc_server *server)
{
	struct grpc_user *user;

	while ((user = LIST_FIRST(&server->users))) {
		LIST_REMOVE(user, link);
		user->listed = false;
	}
}

/* --- The timer ------------------------------------------------------------------------------ */

static void set_accepting(struct grpc_server *server, bool on)
{
	struct grpc_listener *listener;

	server->accept_paused = !on;
	LIST_FOREACH (listener, &server->listeners, link) {
		if (on)
			event_add(listener->event, NULL);
		else
			event_del(listener->event);
	}
}

static void start_ticking(struct grpc_server *server)
{
	static const struct timeval second = {.tv_sec = 1};

	if (server->ticking)
		return;
	event_add(server->tick, &second);
	server->ticking = true;
}

static void report_drained(struct grpc_server *server)
{
	if (server->drained)
		event_active(server->drained_event, EV_TIMEOUT, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct grpc_server *server = arg;
	struct grpc_conn *conn, *next;

	(void)fd;
	(void)what;
	server->refused_logged = false;
	for (conn = LIST_FIRST(&server->conns); conn; conn = next) {
		next = LIST_NEXT(conn, link);
		grpc_conn_tick(conn);
	}
	if (server->accept_paused && !server->draining)
		set_accepting(server, true);
	if (server->draining && !server->n_calls && ++server->drain_ticks >= GRPC_DRAIN_TICKS)
		report_drained(server);
	if (LIST_EMPTY(&server->conns) && !server->accept_paused) {
		event_del(server->tick);
		server->ticking = false;
	}
}

/* --- Accepting ------------------------------------------------------------------------------ */

/* A refusal is worth a line, a flood of them is not. */
static void log_refusal(struct grpc_server *server, const struct grpc_peer *peer, const char *why)
{
	if (server->refused_logged)
		return;
	server->refused_logged = true;
	if (peer && peer->local)
		log_warning("connection refused uid=%u reason=\"%s\"", (unsigned)peer->uid, why);
	else
		log_warning("connection refused reason=\"%s\"", why);
}

/* True when this descriptor eats into what is kept for databases, pipes and containers. */
static bool is_in_reserve(int fd)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	/* The kernel gives the lowest free number: a high one says how many are in use. */
	return limit.rlim_cur > 2 * GRPC_FD_RESERVE &&
	       (rlim_t)fd >= limit.rlim_cur - GRPC_FD_RESERVE;
}

/* Replies leave at once, and a peer that vanished is noticed within two minutes (tcp(7)). */
static void tune_tcp(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 60},
		{IPPROTO_TCP, TCP_KEEPINTVL, 10},
		{IPPROTO_TCP, TCP_KEEPCNT, 6},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			sizeof(options[i].value));
}

bool grpc_server_is_operator(struct grpc_server *server, const struct grpc_peer *peer)
{
	return peer->local && operators_have(&server->operators, peer->uid);
}

/* Whether the peer may have one more, as far as that is known without asking who is an operator. */
static bool has_room(const struct grpc_server *server, const struct grpc_user *user)
{
	return server->n_conns < GRPC_CONNS_MAX &&
	       (!user || user->connections < user->connections_max);
}

void grpc_server_serve(struct grpc_server *server, int accepted)
{
	_cleanup_close_ int fd = accepted;
	struct grpc_user *user;
	struct grpc_peer peer;
	uint8_t address[16];
	struct err err;
	size_t most;

	if (grpc_peer_read(fd, &peer, address, &err) < 0)
		return;
	if (!has_room(server, user_find(server, &peer, address))) {
		log_refusal(server, &peer, "too many connections");
		return;
	}
	peer.admin = grpc_server_is_operator(server, &peer);
	most = peer.admin ? GRPC_CONNS_MAX : GRPC_CONNS_MAX - GRPC_CONNS_RESERVE;
	user = user_get(server, &peer, address);
	if (!user)
		return;
	if (user->connections > user->connections_max || server->n_conns >= most) {
		log_refusal(server, &peer, "too many connections");
		user_put(user);
		return;
	}
	if (!peer.local)
		tune_tcp(fd);
	if (grpc_conn_create(server, fd, &peer, user, &err) < 0) {
		log_refusal(server, &peer, err.msg);
		user_put(user);
		return;
	}
	take_fd(&fd);
	server->n_conns++;
	start_ticking(server);
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
	struct grpc_listener *listener = arg;
	struct grpc_server *server = listener->server;

	(void)what;
	for (int i = 0; i < GRPC_ACCEPT_BATCH; i++) {
		int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		bool full;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		full = fd < 0 || is_in_reserve(fd);
		if (!full) {
			grpc_server_serve(server, fd);
			continue;
		}
		/* Whoever waits in the backlog is served when a descriptor is free again. */
		if (fd >= 0)
			close(fd);
		log_refusal(server, NULL, "out of file descriptors or memory");
		set_accepting(server, false);
		start_ticking(server);
		return;
	}
}

void grpc_server_conn_gone(struct grpc_server *server, struct grpc_user *user)
{
	user_put(user);
	server->n_conns--;
	if (server->draining && !server->n_conns)
		report_drained(server);
}

int grpc_server_listen(struct grpc_server *server, int fd, struct err *err)
{
	struct grpc_listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return err_oom(err);
	if (evutil_make_socket_nonblocking(fd) < 0) {
		free(listener);
		return err_sys(err, errno, "listen");
	}
	listener->event = event_new(server->base, fd, EV_READ | EV_PERSIST, on_accept, listener);
	if (!listener->event || event_add(listener->event, NULL) < 0) {
		if (listener->event)
			event_free(listener->event);
		free(listener);
		return err_oom(err);
	}
	listener->fd = fd;
	listener->server = server;
	LIST_INSERT_HEAD(&server->listeners, listener, link);
	return 0;
}

/* --- Start and stop ------------------------------------------------------------------------- */

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
	struct grpc_server *server = arg;
	void (*drained)(void *) = server->drained;

	(void)fd;
	(void)what;
	server->drained = NULL;
	if (drained)
		drained(server->drained_arg); /* may destroy the server */
}

static int add_handlers(
	struct grpc_server *server, const struct grpc_handler *table, struct err *err)
{
	for (const struct grpc_handler *h = table; h->path; h++) {
		const struct grpc_method *method = grpc_method_find(h->path);

		if (!method)
			return err_set(err, ERR_INTERNAL, "HANDLER_WITHOUT_METHOD",
				"%s is handled but is no method of any service", h->path);
		if (server->handlers[method - grpc_methods])
			return err_set(
				err, ERR_INTERNAL, "HANDLER_TWICE", "%s is handled twice", h->path);
		if (!h->start || (method->client_streaming && (!h->message || !h->half_closed)))
			return err_set(err, ERR_INTERNAL, "HANDLER_INCOMPLETE",
				"the handler of %s lacks a callback", h->path);
		server->handlers[method - grpc_methods] = h;
	}
	return 0;
}

static int init_handlers(
	struct grpc_server *server, const struct grpc_handler *const *tables, struct err *err)
{
	int r;

	server->handlers = calloc(grpc_n_methods, sizeof(*server->handlers));
	if (!server->handlers)
		return err_oom(err);
	r = add_handlers(server, grpc_health_handlers, err);
	if (r == 0)
		r = add_handlers(server, grpc_reflection_handlers, err);
	for (; r == 0 && *tables; tables++)
		r = add_handlers(server, *tables, err);
	return r;
}

int grpc_server_create(
	const struct grpc_server_config *config, struct grpc_server **ret, struct err *err)
{
	struct grpc_server *server;
	int r;

	if (!config->base || !config->handlers || !config->authorize)
		return err_set(err, ERR_INTERNAL, "BAD_CONFIG",
			"a gRPC server needs a loop, handlers and an authorizer");
	server = calloc(1, sizeof(*server));
	if (!server)
		return err_oom(err);
	/* libevent writes by writev(2), which raises it when the peer has gone. */
	signal(SIGPIPE, SIG_IGN);
	server->base = config->base;
	server->authorize = config->authorize;
	server->ended = config->ended;
	server->app = config->app;
	server->healthy = true;
	server->idle_ticks_max = config->idle_seconds ? config->idle_seconds : GRPC_IDLE_SECONDS;
	server->write_timeout.tv_sec = config->write_seconds ? config->write_seconds
							     : GRPC_WRITE_SECONDS;
	server->tick = event_new(config->base, -1, EV_PERSIST, on_tick, server);
	server->drained_event = event_new(config->base, -1, 0, on_drained, server);
	server->scratch = malloc(GRPC_SCRATCH_SIZE);
	if (config->admin_group)
		server->admin_group = strdup(config->admin_group);
	operators_init(
		&server->operators, grpc_peer_is_member, server->admin_group, clock_boot_usec);
	r = init_handlers(server, config->handlers, err);
	if (r == 0 && (!server->tick || !server->drained_event || !server->scratch ||
			      (config->admin_group && !server->admin_group)))
		r = err_oom(err);
	if (r == 0)
		r = grpc_conn_init_library(server, err);
	if (r < 0) {
		grpc_server_destroy(server);
		return r;
	}
	*ret = server;
	return 0;
}

static void close_listeners(struct grpc_server *server)
{
	struct grpc_listener *listener;

	while ((listener = LIST_FIRST(&server->listeners))) {
		LIST_REMOVE(listener, link);
		event_free(listener->event);
		close(listener->fd);
		free(listener);
	}
	server->accept_paused = false;
}

size_t grpc_server_connections(const struct grpc_server *server)
{
	return server->n_conns;
}

void grpc_server_set_healthy(struct grpc_server *server, bool healthy)
{
	if (server->healthy == healthy)
		return;
	server->healthy = healthy;
	grpc_health_changed(server);
}

void grpc_server_drain(struct grpc_server *server, void (*drained)(void *arg), void *arg)
{
	struct grpc_conn *conn, *next;

	server->draining = true;
	server->drained = drained;
	server->drained_arg = arg;
	close_listeners(server);
	grpc_health_drain(server);
	for (conn = LIST_FIRST(&server->conns); conn; conn = next) {
		next = LIST_NEXT(conn, link);
		grpc_conn_start_drain(conn);
	}
	if (!server->n_conns)
		report_drained(server);
}

void grpc_server_destroy(struct grpc_server *server)
{
	struct grpc_conn *conn;

	if (!server)
		return;
	server->drained = NULL;
	close_listeners(server);
	while ((conn = LIST_FIRST(&server->conns)))
		grpc_conn_destroy(conn);
	unlist_users(server);
	if (server->tick)
		event_free(server->tick);
	if (server->drained_event)
		event_free(server->drained_event);
	nghttp2_session_callbacks_del(server->callbacks);
	nghttp2_option_del(server->options);
	free(server->handlers);
	free(server->admin_group);
	free(server->scratch);
	free(server);
}
