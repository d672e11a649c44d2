/*
 * The gRPC server with small handlers of its own, so that stock clients and hostile ones can be
 * tried without root, state or kernel. Needs no other part of croftd, and shares none of its rules.
 *
 *     grpc_echo_server [unix:PATH|tcp:PORT|group:NAME|idle:SECONDS|write:SECONDS]...
 *
 * Prints READY; SIGTERM drains, then it exits 0. The group is that of the operators; the seconds
 * stand for croftd's own timers.
 *
 * Tenants/CreateTenant  echoes the tenant, whatever its size; account_ref stays as it is
 * Tenants/GetTenant     tenants/hang never answers, tenants/quota, tenants/invalid, tenants/text
 * fail, tenants/late answers by a timer; tenants/forbidden is refused by the authorizer
 *                       tenants/large answers, late, with more than a message may hold
 *                       tenants/stubborn works on, also when its client has left, until somebody
 *                       asks for tenants/release
 * Containers/GetLogs    sends tail_bytes in chunks of 64 KiB while writable; follow: stays open;
 * the container `greedy` sends without asking whether it may Containers/Exec       echoes stdin to
 * stdout; user "paused" takes no message before a timer has fired Host/GetHostInfo      what became
 * of the calls: tenants: open, containers: cancelled
 */
#include "base/err.h"
#include "server/grpc.h"

#include <arpa/inet.h>
#include <croft/v1/containers.pb-c.h>
#include <croft/v1/host.pb-c.h>
#include <croft/v1/tenants.pb-c.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK	 (64u << 10)
#define LATE_MS	 50
#define PAUSE_MS 300
#define KEPT_MAX 8192

struct app {
	struct event_base *base;
	struct grpc_server *server;
	unsigned open;
	unsigned cancelled;
	struct grpc_call *kept[KEPT_MAX]; /* references */
	size_t n_kept;
};

/* What a call that lives longer than its first callback needs. */
struct work {
	struct grpc_call *call;
	uint64_t left;
	bool follow;
	bool greedy;
	bool large;
	struct event *timer;
};

static struct work *work_new(struct grpc_call *call, event_callback_fn timer, int ms)
{
	struct app *app = grpc_call_app(call);
	struct timeval tv = {.tv_usec = ms * 1000};
	struct work *work = calloc(1, sizeof(*work));

	if (!work)
		abort();
	work->call = call;
	if (timer) {
		work->timer = event_new(app->base, -1, 0, timer, work);
		event_add(work->timer, &tv);
	}
	grpc_call_set_data(call, work);
	app->open++;
	return work;
}

static void work_free(struct work *work)
{
	struct app *app = grpc_call_app(work->call);

	app->open--;
	if (work->timer)
		event_free(work->timer);
	free(work);
}

static void on_cancelled(struct grpc_call *call)
{
	struct app *app = grpc_call_app(call);

	app->cancelled++;
	if (grpc_call_data(call))
		work_free(grpc_call_data(call));
}

/* --- Unary --------------------------------------------------------------------------------------
 */

static void create_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CreateTenantRequest *request = (const void *)message;
	Croft__V1__Tenant empty = CROFT__V1__TENANT__INIT;

	grpc_reply(call, request->tenant ? &request->tenant->base : &empty.base);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct work *work = arg;
	struct grpc_call *call = work->call;
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;
	static char text[GRPC_MESSAGE_MAX + 1];

	(void)fd;
	(void)what;
	tenant.name = (char *)"tenants/late";
	if (work->large) {
		memset(text, 'x', sizeof(text) - 1);
		tenant.account_ref = text;
	}
	work_free(work);
	grpc_reply(call, &tenant.base);
}

static void keep(struct app *app, struct grpc_call *call)
{
	if (app->n_kept == KEPT_MAX)
		abort();
	app->kept[app->n_kept++] = grpc_call_ref(call);
}

static void release_kept(struct app *app)
{
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;

	while (app->n_kept) {
		struct grpc_call *call = app->kept[--app->n_kept];

		grpc_reply(call, &tenant.base);
		grpc_call_unref(call);
	}
}

static void get_tenant(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetTenantRequest *request = (const void *)message;
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;
	struct err err;

	tenant.name = request->name;
	if (strcmp(request->name, "tenants/hang") == 0) {
		work_new(call, NULL, 0);
		return;
	}
	if (strcmp(request->name, "tenants/stubborn") == 0) {
		keep(grpc_call_app(call), call);
		return;
	}
	if (strcmp(request->name, "tenants/release") == 0)
		release_kept(grpc_call_app(call));
	if (strcmp(request->name, "tenants/late") == 0 ||
		strcmp(request->name, "tenants/large") == 0) {
		work_new(call, on_late, LATE_MS)->large = strcmp(request->name, "tenants/late");
		return;
	}
	if (strcmp(request->name, "tenants/quota") == 0)
		err_set_subject(&err, ERR_RESOURCE_EXHAUSTED, "LIMIT_REACHED", "memory",
			"memory is at its limit of 100%% of 64 MiB");
	else if (strcmp(request->name, "tenants/invalid") == 0)
		err_set_subject(&err, ERR_INVALID_ARGUMENT, "INVALID_NAME", "name",
			"the name is not one: use a-z");
	else if (strcmp(request->name, "tenants/text") == 0)
		err_set(&err, ERR_NOT_FOUND, "ODD_TEXT",
			"gr\xc3\xbc\xc3\x9f"
			"e\n\xff%%");
	else {
		grpc_reply(call, &tenant.base);
		return;
	}
	grpc_fail(call, &err);
}

static void get_version(struct grpc_call *call, const ProtobufCMessage *message)
{
	Croft__V1__Version version = CROFT__V1__VERSION__INIT;

	(void)message;
	version.version = (char *)"echo";
	grpc_reply(call, &version.base);
}

static void get_host_info(struct grpc_call *call, const ProtobufCMessage *message)
{
	const struct app *app = grpc_call_app(call);
	Croft__V1__HostInfo info = CROFT__V1__HOST_INFO__INIT;

	(void)message;
	info.tenants = app->open;
	info.containers = app->cancelled;
	grpc_reply(call, &info.base);
}

/* --- Server streaming
 * ----------------------------------------------------------------------------- */

static void send_logs(struct grpc_call *call)
{
	static uint8_t bytes[CHUNK];
	struct work *work = grpc_call_data(call);

	while (work->left &&
		(grpc_call_writable(call) || (work->greedy && grpc_call_is_open(call)))) {
		Croft__V1__GetLogsResponse response = CROFT__V1__GET_LOGS_RESPONSE__INIT;

		response.data.data = bytes;
		response.data.len = work->left < CHUNK ? work->left : CHUNK;
		work->left -= response.data.len;
		grpc_send(call, &response.base);
	}
	if (work->left || work->follow || !grpc_call_is_open(call))
		return;
	work_free(work);
	grpc_finish(call);
}

static void get_logs(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetLogsRequest *request = (const void *)message;
	struct work *work = work_new(call, NULL, 0);

	work->left = request->tail_bytes;
	work->follow = request->follow;
	work->greedy = strstr(request->name, "greedy");
	send_logs(call);
}

/* --- Bidirectional
 * ---------------------------------------------------------------------------------- */

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct work *work = arg;

	(void)fd;
	(void)what;
	grpc_call_set_receiving(work->call, true);
}

static void exec_start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ExecRequest *request = (const void *)message;
	Croft__V1__ExecResponse response = CROFT__V1__EXEC_RESPONSE__INIT;
	Croft__V1__ExecStarted started = CROFT__V1__EXEC_STARTED__INIT;
	bool paused;

	if (request->kind_case != CROFT__V1__EXEC_REQUEST__KIND_START) {
		struct err err;

		err_set(&err, ERR_INVALID_ARGUMENT, "NO_START", "the first request is `start`");
		grpc_fail(call, &err);
		return;
	}
	paused = strcmp(request->start->user, "paused") == 0;
	work_new(call, paused ? on_resume : NULL, PAUSE_MS);
	if (paused)
		grpc_call_set_receiving(call, false);
	started.host_pid = 1;
	response.kind_case = CROFT__V1__EXEC_RESPONSE__KIND_STARTED;
	response.started = &started;
	grpc_send(call, &response.base);
}

static void exec_message(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ExecRequest *request = (const void *)message;
	Croft__V1__ExecResponse response = CROFT__V1__EXEC_RESPONSE__INIT;

	if (request->kind_case != CROFT__V1__EXEC_REQUEST__KIND_STDIN)
		return;
	response.kind_case = CROFT__V1__EXEC_RESPONSE__KIND_STDOUT;
	response.stdout = request->stdin;
	grpc_send(call, &response.base);
	if (!grpc_call_writable(call))
		grpc_call_set_receiving(call, false);
}

static void exec_writable(struct grpc_call *call)
{
	grpc_call_set_receiving(call, true);
}

static void exec_half_closed(struct grpc_call *call)
{
	Croft__V1__ExecResponse response = CROFT__V1__EXEC_RESPONSE__INIT;
	Croft__V1__Exit status = CROFT__V1__EXIT__INIT;

	status.kind = CROFT__V1__EXIT__KIND__EXITED;
	status.status = 7;
	response.kind_case = CROFT__V1__EXEC_RESPONSE__KIND_EXIT;
	response.exit = &status;
	work_free(grpc_call_data(call));
	grpc_send(call, &response.base);
	grpc_finish(call);
}

static const struct grpc_handler handlers[] = {
	{.path = "/croft.v1.Tenants/CreateTenant", .start = create_tenant},
	{.path = "/croft.v1.Tenants/GetTenant", .start = get_tenant, .cancelled = on_cancelled},
	{.path = "/croft.v1.Host/GetVersion", .start = get_version},
	{.path = "/croft.v1.Host/GetHostInfo", .start = get_host_info},
	{.path = "/croft.v1.Containers/GetLogs",
		.start = get_logs,
		.writable = send_logs,
		.cancelled = on_cancelled},
	{.path = "/croft.v1.Containers/Exec",
		.start = exec_start,
		.message = exec_message,
		.half_closed = exec_half_closed,
		.writable = exec_writable,
		.cancelled = on_cancelled},
	{0},
};

static const struct grpc_handler *const tables[] = {handlers, NULL};

static int authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err)
{
	(void)app;
	if (!peer->local)
		return err_set(err, ERR_UNAUTHENTICATED, "NO_IDENTITY",
			"a TCP client must show a certificate");
	if (method->role == GRPC_ROLE_OPERATOR && !peer->admin)
		return err_set(err, ERR_PERMISSION_DENIED, "OPERATORS_ONLY",
			"only an operator may do this");
	if (strcmp(resource, "tenants/forbidden") == 0)
		return err_set(err, ERR_NOT_FOUND, "NO_SUCH_TENANT", "there is no such tenant");
	return 0;
}

/* --- main
 * ----------------------------------------------------------------------------------------- */

static int listen_on(const char *where)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr *address = (struct sockaddr *)&un;
	socklen_t len = sizeof(un);
	int fd;

	if (strncmp(where, "unix:", 5) == 0) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", where + 5);
	} else if (strncmp(where, "tcp:", 4) == 0) {
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		in.sin_port = htons((uint16_t)atoi(where + 4));
		address = (struct sockaddr *)&in;
		len = sizeof(in);
	} else {
		return -1;
	}
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, address, len) < 0 || listen(fd, SOMAXCONN) < 0)
		return -1;
	if (address->sa_family == AF_INET) {
		getsockname(fd, address, &len);
		printf("PORT %u\n", ntohs(in.sin_port));
	}
	return fd;
}

static void on_drained(void *arg)
{
	struct app *app = arg;

	event_base_loopexit(app->base, NULL);
}

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct app *app = arg;

	(void)what;
	if (signal == SIGTERM)
		grpc_server_drain(app->server, on_drained, app);
	else
		grpc_server_set_healthy(app->server, signal == SIGUSR2);
}

/* True when it was a setting, and not where to listen. */
static bool set(struct grpc_server_config *config, const char *arg)
{
	if (strncmp(arg, "group:", 6) == 0)
		config->admin_group = arg + 6;
	else if (strncmp(arg, "idle:", 5) == 0)
		config->idle_seconds = (unsigned)atoi(arg + 5);
	else if (strncmp(arg, "write:", 6) == 0)
		config->write_seconds = (unsigned)atoi(arg + 6);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	static const int signals[] = {SIGTERM, SIGUSR1, SIGUSR2};
	struct event *events[3];
	struct app app = {.base = event_base_new()};
	struct grpc_server_config config = {
		.base = app.base,
		.handlers = tables,
		.authorize = authorize,
		.app = &app,
		.admin_group = "croft-admin",
	};
	struct err err;

	for (int i = 1; i < argc; i++)
		set(&config, argv[i]);
	if (!app.base || grpc_server_create(&config, &app.server, &err) < 0)
		return 1;
	for (int i = 1; i < argc; i++) {
		int fd;

		if (set(&config, argv[i]))
			continue;
		fd = listen_on(argv[i]);
		if (fd < 0 || grpc_server_listen(app.server, fd, &err) < 0) {
			perror(argv[i]);
			return 1;
		}
	}
	for (int i = 0; i < 3; i++) {
		events[i] = evsignal_new(app.base, signals[i], on_signal, &app);
		event_add(events[i], NULL);
	}
	printf("READY\n");
	fflush(stdout);
	event_base_dispatch(app.base);
	grpc_server_destroy(app.server);
	release_kept(&app); /* calls outlive their server */
	for (int i = 0; i < 3; i++)
		event_free(events[i]);
	event_base_free(app.base);
	return 0;
}
