/*
 * ExportContainer: what the supervisor's packer writes to a pipe goes to the client, no faster than
 * it takes it. croftd never looks into it. The container is held until the first of it comes: by
 * then it has been copied.
 *
 * Nothing of Croft's changes, so that there is no request_id: to repeat it is harmless.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/container_files.h"
#include "server/container_import.h"
#include "server/details.h"
#include "server/events.h"
#include "server/feed.h"
#include "server/link.h"
#include "server/snapshot_travel.h"
#include "server/svc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTS_MAX 16 /* on the host; a tenant has one */
#define CHUNK	    (64u << 10)
/*
 * Who takes something now and then is not waited for for ever either: the packer ends when nothing
 * moved in it for so many times what a client may pause, in which half of GRPC_SEND_BUFFER_MAX
 * must be taken.
 */
#define PACKER_PAUSES  10u
#define PACKER_SECONDS 3600u /* the most */

struct export
{
	struct server *server;
	struct grpc_call *call;	     /* a reference */
	struct container *container; /* a reference */
	struct event *readable;	     /* of the pipe; NULL: it has ended */
	struct event *stalled;	     /* pending while the client is waited for */
	size_t waiting;		     /* for the client, when that began */
	int pipe;
	bool holds;    /* the container is kept from changing */
	bool answered; /* by the supervisor, or there is nothing to wait for */
	struct err err;
	struct msg_exported total;
	struct snapshots_packed *snapshots; /* that are to be in it; NULL: none */
};

static void let_go(struct export *e)
{
	if (e->holds)
		e->container->changing = false;
	e->holds = false;
}

static void close_pipe(struct export *e)
{
	if (e->readable)
		event_free(e->readable);
	e->readable = NULL;
	if (e->stalled)
		event_free(e->stalled);
	e->stalled = NULL;
	close_fd(&e->pipe);
}

static void export_free(struct export *e)
{
	close_pipe(e);
	let_go(e);
	e->server->n_exports--;
	e->container->tenant->exporting = false;
	grpc_call_set_data(e->call, NULL);
	grpc_call_unref(e->call);
	container_unref(e->container);
	free(e->snapshots);
	free(e);
}

static void on_committed(void *arg, const struct err *err)
{
	struct export *e = arg;

	if (err)
		grpc_fail(e->call, err);
	else
		grpc_finish(e->call);
	export_free(e);
}

static void add_event(struct export *e)
{
	const struct container *c = e->container;
	struct db_tx *tx = db_tx_new();
	struct details d;

	details_init(&d);
	details_number(&d, "bytes", e->total.bytes);
	details_number(&d, "entries", e->total.entries);
	if (e->snapshots)
		details_number(&d, "snapshots", e->snapshots->list.n);
	events_add_container(tx, c, c->run.id, "container.exported", details_end(&d),
		"%s/%s was exported", c->tenant->name, c->name);
	db_commit(e->server->db, tx, on_committed, e);
}

/*
 * Nothing keeps a snapshot while it waits to be packed, so that an export holds nobody up. Instead
 * no file counts whose snapshots are not those that it tells of.
 */
static void check_snapshots(struct export *e)
{
	const struct container *c = e->container;

	if (!e->snapshots || e->err.code == ERR_CANCELLED || e->err.code == ERR_DEADLINE_EXCEEDED)
		return;
	if (e->err.code == ERR_NOT_FOUND || !snapshots_are_there(c, e->snapshots))
		err_set(&e->err, ERR_ABORTED, "SNAPSHOT_GONE",
			"%s/%s was renamed or deleted, or a snapshot of it, while it was exported; "
			"export it again",
			c->tenant->name, c->name);
}

/* When both the bytes and the supervisor's answer have come to their end. */
static void end(struct export *e)
{
	if (!e->answered || e->pipe >= 0)
		return;
	let_go(e);
	check_snapshots(e);
	if (e->err.code != ERR_OK) {
		grpc_fail(e->call, &e->err);
		export_free(e);
		return;
	}
	log_info("container-exported tenant=%s container=%s", e->container->tenant->name,
		e->container->name);
	add_event(e);
}

/* --- the bytes --- */

/*
 * A client that takes nothing for long would keep the file's making waiting, or, once all of it
 * is in the pipe, only its place among the host's exports.
 */
static void wait_for_client(struct export *e)
{
	const struct timeval pause = {.tv_sec = e->server->config->transfer_seconds};

	event_del(e->readable);
	e->waiting = grpc_call_waiting(e->call);
	event_add(e->stalled, &pause);
}

static void on_stalled(evutil_socket_t fd, short what, void *arg)
{
	struct export *e = arg;

	(void)fd;
	(void)what;
	if (grpc_call_waiting(e->call) < e->waiting) {
		wait_for_client(e);
		return;
	}
	if (e->err.code == ERR_OK)
		err_set(&e->err, ERR_DEADLINE_EXCEEDED, "EXPORT_STALLED",
			"nothing of the export was taken for %u seconds",
			e->server->config->transfer_seconds);
	close_pipe(e);
	end(e);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	Croft__V1__ExportContainerResponse response = CROFT__V1__EXPORT_CONTAINER_RESPONSE__INIT;
	static uint8_t buffer[CHUNK]; /* the loop's alone */
	struct export *e = arg;
	ssize_t n = read(fd, buffer, sizeof(buffer));

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_pipe(e);
		end(e);
		return;
	}
	let_go(e);
	response.data.data = buffer;
	response.data.len = (size_t)n;
	grpc_send(e->call, &response.base);
	if (!grpc_call_writable(e->call))
		wait_for_client(e);
}

static void export_writable(struct grpc_call *call)
{
	struct export *e = grpc_call_data(call);

	if (!e || !e->readable)
		return;
	event_del(e->stalled);
	event_add(e->readable, NULL);
}

/* The packer sees that nobody reads; its end is waited for. */
static void export_cancelled(struct grpc_call *call)
{
	struct export *e = grpc_call_data(call);

	if (!e)
		return;
	close_pipe(e);
	if (e->err.code == ERR_OK)
		err_set(&e->err, ERR_CANCELLED, "EXPORT_CANCELLED", "the export was given up");
	end(e);
}

static void on_exported(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct export *e = arg;

	link_close_fds(fds, n_fds);
	e->answered = true;
	if (err && e->err.code == ERR_OK)
		e->err = *err;
	if (!err)
		memcpy(&e->total, reply, sizeof(e->total));
	/* What is still in the pipe is of no use then. */
	if (err)
		close_pipe(e);
	end(e);
}

/* --- the start --- */

/* fds: the pipe's end, and where they are wanted the list of the snapshots. */
static int send_request(struct export *e, const int *fds, size_t n_fds, struct err *err)
{
	const struct container *c = e->container;
	uint32_t seconds = e->server->config->transfer_seconds * PACKER_PAUSES;
	struct msg_export msg = {.seconds = seconds < PACKER_SECONDS ? seconds : PACKER_SECONDS};

	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	memcpy(msg.image, c->image, sizeof(msg.image));
	msg.pause = (uint8_t)container_pause(c);
	return link_send(
		e->server->link, MSG_CONTAINER_EXPORT, &msg, fds, n_fds, on_exported, e, err);
}

static int open_pipe(struct export *e, int *ret_theirs, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	e->pipe = fds[0];
	*ret_theirs = fds[1];
	if (fd_set_nonblock(e->pipe, true) < 0)
		return err_sys(err, errno, "prepare a pipe");
	e->readable = event_new(e->server->base, e->pipe, EV_READ | EV_PERSIST, on_readable, e);
	e->stalled = evtimer_new(e->server->base, on_stalled, e);
	return e->readable && e->stalled && event_add(e->readable, NULL) == 0 ? 0 : err_oom(err);
}

static int check(struct server *server, const struct grpc_peer *peer, const char *name,
	struct container **ret, struct err *err)
{
	int r = model_find_container(&server->model, name, ret, err);

	if (r == 0)
		r = auth_check_work(peer, (*ret)->tenant, err);
	if (r == 0)
		r = container_check_free(*ret, err);
	/* The supervisor has ended with one while its last bytes are still on their way. */
	if (r == 0 && (*ret)->tenant->exporting)
		r = err_set(err, ERR_ABORTED, "EXPORT_BUSY",
			"tenant %s has an export under way: try again when it has ended",
			(*ret)->tenant->name);
	if (r == 0 && server->n_exports >= EXPORTS_MAX)
		r = err_set(err, ERR_RESOURCE_EXHAUSTED, "HOST_BUSY",
			"the host has %d exports under way, which is the most: try again later",
			EXPORTS_MAX);
	return r;
}

static struct export *export_new(struct grpc_call *call, struct container *c, struct err *err)
{
	struct export *e = calloc(1, sizeof(*e));

	if (!e) {
		err_oom(err);
		return NULL;
	}
	e->server = grpc_call_app(call);
	e->call = grpc_call_ref(call);
	e->container = container_ref(c);
	e->pipe = -1;
	e->holds = true;
	c->changing = true;
	c->tenant->exporting = true;
	e->server->n_exports++;
	grpc_call_set_data(call, e);
	return e;
}

static int begin(struct export *e, bool snapshots, struct err *err)
{
	_cleanup_close_ int theirs = -1;
	_cleanup_close_ int list = -1;
	int r = open_pipe(e, &theirs, err);

	if (r == 0 && snapshots) {
		e->snapshots = snapshots_pack(e->container);
		r = e->snapshots ? snapshot_list_send(&e->snapshots->list, &list, err)
				 : err_oom(err);
	}
	return r < 0 ? r : send_request(e, (int[]){theirs, list}, snapshots ? 2 : 1, err);
}

static void export_start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ExportContainerRequest *request = (const void *)message;
	struct container *c = NULL;
	struct export *e = NULL;
	struct err err;

	if (check(grpc_call_app(call), grpc_call_peer(call), request->name, &c, &err) == 0)
		e = export_new(call, c, &err);
	if (!e) {
		grpc_fail(call, &err);
		return;
	}
	if (begin(e, request->snapshots, &err) < 0) {
		grpc_fail(call, &err);
		export_free(e);
	}
}

const struct grpc_handler svc_export_handlers[] = {
	{.path = "/croft.v1.Containers/ExportContainer",
		.start = export_start,
		.writable = export_writable,
		.cancelled = export_cancelled},
	{.path = "/croft.v1.Containers/ImportContainer",
		.start = container_import_start,
		.message = container_import_message,
		.half_closed = feed_half_closed,
		.cancelled = feed_cancelled},
	{.path = NULL},
};
