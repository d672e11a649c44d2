/*
 * Sessions of commands in containers; see exec.h.
 *
 * A session lives from the request to the supervisor until the command has ended (or the supervisor
 * is gone); the call may leave earlier. Must never leave a command running whose client has gone.
 */
#include "server/exec.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/exec_args.h"
#include "server/exec_io.h"
#include "server/hold.h"
#include "server/idle.h"
#include "server/link.h"
#include "server/sessions.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

/* Between SIGHUP and SIGKILL when the client has gone. */
#define HANG_UP_SECONDS 5

struct exec_session {
	LIST_ENTRY(exec_session) entry;
	struct server *server;
	struct grpc_call *call;	     /* a reference; NULL: the client is gone */
	struct container *container; /* a reference */
	const struct exec_front *front;
	struct exec_word word;
	struct exec_io io;
	struct msg_exec msg; /* what the supervisor is asked */
	int fds[4];	     /* with that, until then */
	struct event *kill_timer;
	uint64_t id;
	bool started;
	bool signalling; /* the supervisor is asked to; until it has answered nothing is received */
};

struct exec_table {
	LIST_HEAD(, exec_session) sessions;
};

int exec_table_create(struct server *server, struct err *err)
{
	server->execs = calloc(1, sizeof(*server->execs));
	return server->execs ? 0 : err_oom(err);
}

static void close_request(struct exec_session *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->fds); i++)
		close_fd(&s->fds[i]);
}

static void session_free(struct exec_session *s)
{
	LIST_REMOVE(s, entry);
	exec_io_finish(&s->io);
	if (s->kill_timer)
		event_free(s->kill_timer);
	if (s->call) {
		grpc_call_set_data(s->call, NULL);
		grpc_call_unref(s->call);
	}
	close_request(s);
	s->container->n_execs--;
	container_unref(s->container);
	free(s);
}

void exec_table_destroy(struct server *server)
{
	if (!server->execs)
		return;
	exec_lost(server);
	free(server->execs);
	server->execs = NULL;
}

/* --- output and input --- */

static bool on_output(void *arg, int stream, const void *data, size_t size)
{
	struct exec_session *s = arg;

	if (!s->call)
		return true;
	s->front->output(s->call, stream, data, size, &s->word);
	return grpc_call_writable(s->call);
}

static void on_input_drained(void *arg)
{
	struct exec_session *s = arg;

	if (s->call && !s->signalling)
		grpc_call_set_receiving(s->call, true);
}

static const struct exec_io_ops io_ops = {.output = on_output, .input_drained = on_input_drained};

void exec_input(struct exec_session *s, const void *data, size_t size)
{
	if (!exec_io_write(&s->io, data, size) && s->call)
		grpc_call_set_receiving(s->call, false);
}

void exec_close_input(struct exec_session *s)
{
	exec_io_close_input(&s->io);
}

/* struct winsize has 16 bits for each, see ioctl_tty(2). */
int exec_check_size(const Croft__V1__WindowSize *size, struct err *err)
{
	if (!size || (size->rows <= UINT16_MAX && size->columns <= UINT16_MAX))
		return 0;
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "SIZE_INVALID", "size",
		"a terminal has at most %d rows and columns", UINT16_MAX);
}

int exec_resize(struct exec_session *s, const Croft__V1__WindowSize *size, struct err *err)
{
	int r = exec_check_size(size, err);

	if (r == 0 && size)
		exec_io_resize(&s->io, (uint16_t)size->rows, (uint16_t)size->columns);
	return r;
}

/* The session may have ended meanwhile: it is the call's data until then. */
static void on_signalled(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct grpc_call *call = arg;
	struct exec_session *s = grpc_call_data(call);

	(void)err;
	(void)reply;
	link_close_fds(fds, n_fds);
	if (s) {
		s->signalling = false;
		grpc_call_set_receiving(call, true);
	}
	grpc_call_unref(call);
}

int exec_signal(struct exec_session *s, uint32_t signal, struct err *err)
{
	struct msg_exec_signal msg = {.exec_id = s->id, .signal = (int32_t)signal};
	int r;

	if (signal < 1 || signal > (uint32_t)SIGRTMAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "SIGNAL_INVALID", "signal",
			"there is no signal %u", signal);
	if (!s->started)
		return 0;
	r = link_send(s->server->link, MSG_EXEC_SIGNAL, &msg, NULL, 0, on_signalled, s->call, err);
	if (r < 0)
		return r;
	grpc_call_ref(s->call);
	s->signalling = true;
	grpc_call_set_receiving(s->call, false);
	return 0;
}

/* --- the end --- */

/* The API's names for the two refusals that a shell has statuses for (126 and 127). */
static void name_reason(struct err *err)
{
	if (!strcmp(err->reason, "EXEC_NOT_FOUND"))
		strcpy(err->reason, "COMMAND_NOT_FOUND");
	else if (!strcmp(err->reason, "EXEC_NOT_EXECUTABLE"))
		strcpy(err->reason, "COMMAND_NOT_EXECUTABLE");
}

static struct exec_session *find(struct server *server, uint64_t id)
{
	struct exec_session *s;

	LIST_FOREACH (s, &server->execs->sessions, entry)
		if (s->started && s->id == id)
			return s;
	return NULL;
}

void exec_ended(struct server *server, const struct msg_exec_ended *msg)
{
	struct exec_session *s = find(server, msg->exec_id);
	struct err failure;

	if (!s)
		return;
	exec_io_drain(&s->io);
	if (s->call && msg->exit.kind == EXIT_KIND_REFUSED) {
		failure = msg->err;
		err_sanitize(&failure);
		name_reason(&failure);
		grpc_fail(s->call, &failure);
	} else if (s->call) {
		s->front->ended(s->call, &msg->exit, &s->word);
	}
	session_free(s);
}

void exec_lost(struct server *server)
{
	struct exec_session *s;
	struct exec_session *next;
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "SUPERVISOR_GONE",
		"the supervisor was lost; how the command ended cannot be told");
	for (s = LIST_FIRST(&server->execs->sessions); s; s = next) {
		next = LIST_NEXT(s, entry);
		/* One that has not started is ended by its own reply. */
		if (!s->started)
			continue;
		if (s->call)
			grpc_fail(s->call, &err);
		session_free(s);
	}
}

static void send_signal(struct exec_session *s, int signal)
{
	struct msg_exec_signal msg = {.exec_id = s->id, .signal = signal};
	struct err err;

	link_send(s->server->link, MSG_EXEC_SIGNAL, &msg, NULL, 0, NULL, NULL, &err);
}

static void on_kill_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_signal(arg, SIGKILL);
}

/* Closes what the command reads and writes, and signals it. */
static void disconnect(struct exec_session *s)
{
	static const struct timeval pause = {.tv_sec = HANG_UP_SECONDS};

	exec_io_finish(&s->io);
	send_signal(s, SIGHUP);
	s->kill_timer = evtimer_new(s->server->base, on_kill_timer, s);
	if (!s->kill_timer || evtimer_add(s->kill_timer, &pause) < 0)
		send_signal(s, SIGKILL);
}

void exec_hang_up(struct exec_session *s)
{
	grpc_call_set_data(s->call, NULL);
	grpc_call_unref(s->call);
	s->call = NULL;
	/* Before it has started, the reply's handler does the same. */
	if (s->started)
		disconnect(s);
}

/* --- what the call tells --- */

void exec_half_closed(struct grpc_call *call)
{
	struct exec_session *s = grpc_call_data(call);

	if (s)
		exec_close_input(s);
}

void exec_writable(struct grpc_call *call)
{
	struct exec_session *s = grpc_call_data(call);

	if (s)
		exec_io_resume(&s->io);
}

void exec_cancelled(struct grpc_call *call)
{
	struct exec_session *s = grpc_call_data(call);

	if (s)
		exec_hang_up(s);
}

/* --- the start --- */

static void on_started(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_exec_started *started = reply;
	struct exec_session *s = arg;
	struct err failure;

	if (err) {
		link_close_fds(fds, n_fds);
		failure = *err;
		name_reason(&failure);
		if (s->call)
			grpc_fail(s->call, &failure);
		session_free(s);
		return;
	}
	s->started = true;
	s->id = started->exec_id;
	if (n_fds && s->io.tty)
		exec_io_take_pty(&s->io, fds[0]);
	else
		link_close_fds(fds, n_fds);
	if (!s->call) {
		disconnect(s);
		return;
	}
	sessions_entered(
		s->server, s->container, grpc_call_peer(s->call), s->msg.program != EXEC_COMMAND);
	if (s->front->started)
		s->front->started(s->call, started->pid);
	if (exec_io_begin(&s->io, s->server->base, &failure) < 0) {
		grpc_fail(s->call, &failure);
		exec_hang_up(s);
		return;
	}
	grpc_call_set_receiving(s->call, true);
}

int exec_check_container(const struct container *c, struct err *err)
{
	const struct tenant *t = c->tenant;

	if (hold_check(t, err) < 0)
		return -EPERM;
	if (c->state == CONTAINER_FROZEN || c->state == CONTAINER_FREEZING)
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_FROZEN",
			"%s/%s is frozen; thaw it first", t->name, c->name);
	if (c->state != CONTAINER_RUNNING)
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING",
			"%s/%s is %s; %s", t->name, c->name, container_state_name(c->state),
			container_state_advice(c->state));
	return 0;
}

int exec_check_wakable(const struct container *c, struct err *err)
{
	return !c->tenant->suspended && idle_is_frozen(c) ? 0 : exec_check_container(c, err);
}

/* What the supervisor is to be asked, with its descriptors. */
static int prepare(struct exec_session *s, const Croft__V1__ExecStart *start,
	enum exec_program program, struct err *err)
{
	const struct image *image = container_base(
		&s->server->model, s->container, s->container->image);
	int r = exec_check_size(start->size, err);

	s->msg.tty = start->tty != 0;
	s->msg.program = (uint8_t)program;
	if (r == 0)
		r = exec_args_pack(start, image && program == EXEC_COMMAND ? image->app : NULL,
			&s->fds[0], err);
	if (r < 0)
		return r;
	memcpy(s->msg.tenant, s->container->tenant->name, sizeof(s->msg.tenant));
	memcpy(s->msg.container, s->container->name, sizeof(s->msg.container));
	if (start->size) {
		s->msg.rows = (uint16_t)start->size->rows;
		s->msg.columns = (uint16_t)start->size->columns;
	}
	s->io.tty = start->tty;
	return start->tty ? 0 : exec_io_make_pipes(&s->io, s->fds + 1, err);
}

static int ask(struct exec_session *s, struct err *err)
{
	int r = link_send(
		s->server->link, MSG_EXEC, &s->msg, s->fds, s->msg.tty ? 1 : 4, on_started, s, err);

	close_request(s);
	return r;
}

/* It was idle, and runs again, or could not be thawed. */
static void on_awake(void *arg, const struct err *err)
{
	struct exec_session *s = arg;
	struct err failure;

	if (err)
		failure = *err;
	if (s->call && !err && ask(s, &failure) == 0)
		return;
	if (s->call)
		grpc_fail(s->call, &failure);
	session_free(s);
}

int exec_start(struct grpc_call *call, const Croft__V1__ExecStart *start, enum exec_program program,
	const struct exec_front *front, struct err *err)
{
	struct server *server = grpc_call_app(call);
	struct exec_session *s;
	struct container *c;
	int r = model_find_container(&server->model, start->name, &c, err);

	if (r == 0)
		r = exec_check_wakable(c, err);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->server = server;
	s->front = front;
	s->container = container_ref(c);
	c->n_execs++;
	for (size_t i = 0; i < ARRAY_SIZE(s->fds); i++)
		s->fds[i] = -1;
	exec_io_init(&s->io, &io_ops, s);
	LIST_INSERT_HEAD(&server->execs->sessions, s, entry);
	r = prepare(s, start, program, err);
	if (r == 0)
		r = idle_is_frozen(c) ? idle_wake(server, c, "exec", on_awake, s, err)
				      : ask(s, err);
	if (r < 0) {
		session_free(s);
		return r;
	}
	s->call = grpc_call_ref(call);
	grpc_call_set_data(call, s);
	/* Input waits until there is somebody to take it. */
	grpc_call_set_receiving(call, false);
	return 0;
}
