/*
 * Viewers of consoles; see console.h. Must never block on a console nobody reads, hold more than
 * one message of input, or let one viewer's slowness be another's, or the container's.
 */
#include "server/console.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/exec.h"
#include "server/idle.h"
#include "server/logs.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <termios.h>

struct console_viewer {
	LIST_ENTRY(console_viewer) entry;
	struct server *server;
	struct grpc_call *call;	     /* a reference */
	struct container *container; /* a reference */
	struct evbuffer *input;	     /* what the console has not taken yet */
	struct event *retry;	     /* it did not take all */
	struct event *rested;	     /* the client may send again */
	uint64_t paid_usec;	     /* CLOCK_BOOTTIME until which its input is paid for */
	uint64_t skipped;	     /* bytes, since the last that were sent */
	uint64_t skipped_total;
	uint64_t opened_usec;
	struct winsize size; /* as it last said; ws_row 0: it has not */
};

/* --- events --- */

/* In the name of whoever looks. */
static struct db_tx *new_tx(const struct console_viewer *v)
{
	struct db_tx *tx = db_tx_new();
	struct actor actor;

	auth_actor(grpc_call_peer(v->call), &actor);
	db_tx_set_actor(tx, &actor);
	return tx;
}

static void tell_opened(const struct console_viewer *v)
{
	const struct container *c = v->container;
	struct db_tx *tx = new_tx(v);
	struct details d;

	details_init(&d);
	details_number(&d, "uid", grpc_call_peer(v->call)->uid);
	details_number(&d, "viewers", c->n_viewers);
	events_add_container(tx, c, c->run.id, "container.console_opened", details_end(&d),
		"the console of %s/%s was opened", c->tenant->name, c->name);
	db_commit(v->server->db, tx, NULL, NULL);
}

static void tell_closed(const struct console_viewer *v)
{
	const struct container *c = v->container;
	struct db_tx *tx = new_tx(v);
	struct details d;

	details_init(&d);
	details_number(&d, "uid", grpc_call_peer(v->call)->uid);
	details_number(&d, "seconds", (clock_boot_usec() - v->opened_usec) / 1000000);
	details_number(&d, "skipped_bytes", v->skipped_total);
	events_add_container(tx, c, c->run.id, "container.console_closed", details_end(&d),
		"the console of %s/%s was closed", c->tenant->name, c->name);
	db_commit(v->server->db, tx, NULL, NULL);
}

/* --- input --- */

/* False while the console has not taken what there is, or the client has sent too fast. */
static void let_client_send(struct console_viewer *v)
{
	bool resting = evtimer_pending(v->rested, NULL);

	grpc_call_set_receiving(v->call, !resting && evbuffer_get_length(v->input) == 0);
}

/* Writes what is buffered, as far as the console takes it. */
static void flush(struct console_viewer *v)
{
	static const struct timeval pause = {.tv_usec = CONSOLE_RETRY_MS * 1000};
	int fd = log_source_console(v->container->logs);

	while (fd >= 0 && evbuffer_get_length(v->input)) {
		int n = evbuffer_write(v->input, fd);

		/* Not by poll(2): a pty that nothing has open is ready for ever (POLLHUP). */
		if (n < 0 && errno == EAGAIN) {
			evtimer_add(v->retry, &pause);
			break;
		}
		/* A console without a reader inside (EIO): what is typed is for nobody. */
		if (n <= 0)
			evbuffer_drain(v->input, evbuffer_get_length(v->input));
	}
	let_client_send(v);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	let_client_send(arg);
}

/*
 * A console whose programs do not read takes a line's worth and drops the rest, as any terminal
 * does: it would swallow input as fast as it comes, in the kernel's time. So input has a rate.
 */
static void pay(struct console_viewer *v, size_t size)
{
	uint64_t now = clock_boot_usec();
	uint64_t cost = size > CONSOLE_INPUT_COST ? size : CONSOLE_INPUT_COST;
	struct timeval rest;
	uint64_t ahead;

	if (v->paid_usec < now)
		v->paid_usec = now;
	v->paid_usec += cost * 1000000 / CONSOLE_INPUT_RATE;
	ahead = v->paid_usec - now;
	if (ahead <= CONSOLE_INPUT_BURST_USEC)
		return;
	rest.tv_sec = (time_t)(ahead / 1000000);
	rest.tv_usec = (suseconds_t)(ahead % 1000000);
	evtimer_add(v->rested, &rest);
}

int console_input(struct console_viewer *v, const void *data, size_t size, struct err *err)
{
	if (size > CONSOLE_INPUT_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "INPUT_TOO_LONG", "input",
			"input for a console comes in messages of at most %u bytes",
			CONSOLE_INPUT_MAX);
	if (evbuffer_add(v->input, data, size) < 0)
		return err_oom(err);
	pay(v, size);
	flush(v);
	return 0;
}

static void apply_size(const struct console_viewer *v)
{
	int fd = log_source_console(v->container->logs);

	if (fd >= 0 && v->size.ws_row)
		ioctl(fd, TIOCSWINSZ, &v->size);
}

int console_resize(struct console_viewer *v, const Croft__V1__WindowSize *size, struct err *err)
{
	int r = exec_check_size(size, err);

	if (r < 0 || !size)
		return r;
	v->size.ws_row = (unsigned short)size->rows;
	v->size.ws_col = (unsigned short)size->columns;
	apply_size(v);
	return 0;
}

/* --- output --- */

static void send_skipped(struct console_viewer *v)
{
	Croft__V1__ConsoleResponse response = CROFT__V1__CONSOLE_RESPONSE__INIT;

	response.kind_case = CROFT__V1__CONSOLE_RESPONSE__KIND_SKIPPED_BYTES;
	response.skipped_bytes = v->skipped;
	v->skipped_total += v->skipped;
	v->skipped = 0;
	grpc_send(v->call, &response.base);
}

bool console_output(void *arg, const void *data, size_t size)
{
	const struct container *c = arg;
	Croft__V1__ConsoleResponse response = CROFT__V1__CONSOLE_RESPONSE__INIT;
	struct console_viewer *v;

	response.kind_case = CROFT__V1__CONSOLE_RESPONSE__KIND_OUTPUT;
	response.output.data = (uint8_t *)data;
	response.output.len = size;
	LIST_FOREACH (v, &c->viewers, entry) {
		if (!grpc_call_writable(v->call)) {
			v->skipped += size;
			continue;
		}
		if (v->skipped)
			send_skipped(v);
		grpc_send(v->call, &response.base);
	}
	return !LIST_EMPTY(&c->viewers);
}

void console_plugged(struct container *c)
{
	struct console_viewer *v;

	LIST_FOREACH (v, &c->viewers, entry) {
		apply_size(v);
		flush(v);
	}
}

/* --- coming and going --- */

static void viewer_free(struct console_viewer *v)
{
	if (v->rested)
		event_free(v->rested);
	if (v->retry)
		event_free(v->retry);
	if (v->input)
		evbuffer_free(v->input);
	free(v);
}

void console_close(struct console_viewer *v)
{
	struct container *c = v->container;

	LIST_REMOVE(v, entry);
	c->n_viewers--;
	v->skipped_total += v->skipped;
	tell_closed(v);
	grpc_call_set_data(v->call, NULL);
	grpc_call_unref(v->call);
	viewer_free(v);
	container_unref(c);
}

void console_end(struct container *c)
{
	Croft__V1__ConsoleResponse response = CROFT__V1__CONSOLE_RESPONSE__INIT;
	Croft__V1__Exit exit;
	struct console_viewer *v;

	convert_exit(&c->run, &exit);
	response.kind_case = CROFT__V1__CONSOLE_RESPONSE__KIND_EXIT;
	response.exit = &exit;
	while ((v = LIST_FIRST(&c->viewers))) {
		if (v->skipped)
			send_skipped(v);
		grpc_send(v->call, &response.base);
		grpc_finish(v->call);
		console_close(v);
	}
}

static int check(const struct container *c, struct err *err)
{
	int r = exec_check_wakable(c, err);

	if (r < 0)
		return r;
	if (log_source_console(c->logs) < 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "CONSOLE_LOST",
			"the console of %s/%s was lost when both daemons were; use exec, or "
			"restart the container",
			c->tenant->name, c->name);
	if (c->n_viewers >= CONSOLE_VIEWERS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "CONSOLE_VIEWERS", "viewers",
			"%u look at the console of %s/%s already; one of them must leave first",
			CONSOLE_VIEWERS_MAX, c->tenant->name, c->name);
	return 0;
}

static void attach(struct console_viewer *v, struct grpc_call *call, struct container *c)
{
	Croft__V1__ConsoleResponse response = CROFT__V1__CONSOLE_RESPONSE__INIT;
	Croft__V1__ConsoleAttached attached = CROFT__V1__CONSOLE_ATTACHED__INIT;
	struct err err;

	v->call = grpc_call_ref(call);
	v->container = container_ref(c);
	v->opened_usec = clock_boot_usec();
	LIST_INSERT_HEAD(&c->viewers, v, entry);
	c->n_viewers++;
	grpc_call_set_data(call, v);
	attached.viewers = c->n_viewers;
	response.kind_case = CROFT__V1__CONSOLE_RESPONSE__KIND_ATTACHED;
	response.attached = &attached;
	grpc_send(call, &response.base);
	apply_size(v);
	tell_opened(v);
	/* As long as somebody looks, it is in use. */
	if (idle_is_frozen(c))
		idle_wake(v->server, c, "console", NULL, NULL, &err);
	log_source_poke(c->logs);
}

int console_open(struct grpc_call *call, const Croft__V1__ConsoleStart *start, struct err *err)
{
	struct server *server = grpc_call_app(call);
	struct console_viewer *v;
	struct container *c;
	int r = model_find_container(&server->model, start->name, &c, err);

	if (r == 0)
		r = check(c, err);
	if (r < 0)
		return r;
	v = calloc(1, sizeof(*v));
	if (!v)
		return err_oom(err);
	v->server = server;
	v->input = evbuffer_new();
	v->rested = evtimer_new(server->base, on_rested, v);
	v->retry = evtimer_new(server->base, on_retry, v);
	r = exec_check_size(start->size, err);
	if (r == 0 && (!v->input || !v->rested || !v->retry))
		r = err_oom(err);
	if (r < 0) {
		viewer_free(v);
		return r;
	}
	if (start->size) {
		v->size.ws_row = (unsigned short)start->size->rows;
		v->size.ws_col = (unsigned short)start->size->columns;
	}
	attach(v, call, c);
	return 0;
}
