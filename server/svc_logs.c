/* The method GetLogs: what is kept of a container's output, and with follow what is added. */
#include "server/auth.h"
#include "server/logs.h"
#include "server/server.h"
#include "server/svc.h"

#include "croft/v1/containers.pb-c.h"

#include <stdlib.h>

/* Of one container, by its tenant's users and by operators: each line costs every one of them. */
#define LOG_READERS_MAX 16

struct log_call {
	struct grpc_call *call;	     /* a reference */
	struct container *container; /* a reference */
	struct log_reader reader;
	bool follow;
	bool by_operator;
};

static void log_call_free(struct log_call *l)
{
	log_reader_close(&l->reader);
	grpc_call_set_data(l->call, NULL);
	grpc_call_unref(l->call);
	l->container->n_log_readers[l->by_operator]--;
	container_unref(l->container);
	free(l);
}

static void send_bytes(struct log_call *l, uint8_t *data, size_t size)
{
	Croft__V1__GetLogsResponse response = CROFT__V1__GET_LOGS_RESPONSE__INIT;

	response.data.data = data;
	response.data.len = size;
	grpc_send(l->call, &response.base);
}

/* A run that ended may be followed by another, whose output goes to the same log. */
static bool may_go_on(const struct container *c)
{
	return !c->gone && (container_state_is_live(c->state) || c->restart_due);
}

/* Whether what was sent is all. */
static bool is_over(struct log_call *l)
{
	if (l->follow && may_go_on(l->container))
		return false;
	/* A follower has its container's last words, too. */
	if (l->follow)
		log_reader_expect(&l->reader);
	return !log_reader_must_wait(&l->reader);
}

/* Sends as much as there is and the client takes. */
static void go_on(struct log_call *l)
{
	static uint8_t buf[LOGS_MESSAGE_MAX];
	struct err err;
	ssize_t n = 1;

	while (n > 0 && grpc_call_writable(l->call)) {
		n = log_reader_read(&l->reader, buf, sizeof(buf));
		if (n > 0)
			send_bytes(l, buf, (size_t)n);
	}
	if (n < 0) {
		err_sys(&err, (int)n, "read the log");
		grpc_fail(l->call, &err);
		log_call_free(l);
	} else if (n == 0 && is_over(l)) {
		grpc_finish(l->call);
		log_call_free(l);
	}
}

static void on_written(void *arg)
{
	go_on(arg);
}

static int check_room(const struct container *c, bool by_operator, struct err *err)
{
	if (c->n_log_readers[by_operator] < LOG_READERS_MAX)
		return 0;
	return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "LOG_READERS", "readers",
		"%u read the log of %s/%s already; one of them must end first", LOG_READERS_MAX,
		c->tenant->name, c->name);
}

static void get_logs(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetLogsRequest *request = (const void *)message;
	bool by_operator = auth_is_operator(grpc_call_peer(call));
	struct server *server = grpc_call_app(call);
	struct container *c;
	struct log_call *l;
	struct err err;

	if (model_find_container(&server->model, request->name, &c, &err) < 0 ||
		check_room(c, by_operator, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	l->call = grpc_call_ref(call);
	l->container = container_ref(c);
	l->by_operator = by_operator;
	c->n_log_readers[by_operator]++;
	l->follow = request->follow;
	log_reader_open(&l->reader, server, c->uid, request->tail_bytes);
	l->reader.wake = on_written;
	l->reader.arg = l;
	grpc_call_set_data(call, l);
	go_on(l);
}

static void writable(struct grpc_call *call)
{
	struct log_call *l = grpc_call_data(call);

	if (l)
		go_on(l);
}

static void cancelled(struct grpc_call *call)
{
	struct log_call *l = grpc_call_data(call);

	if (l)
		log_call_free(l);
}

const struct grpc_handler svc_logs_handlers[] = {
	{.path = "/croft.v1.Containers/GetLogs",
		.start = get_logs,
		.writable = writable,
		.cancelled = cancelled},
	{.path = NULL},
};
