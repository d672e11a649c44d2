/*
 * ImportImage: the client's bytes go through a pipe to the supervisor's importer, no faster than it
 * takes them; see import.h. croftd never looks into the archive.
 *
 * A client that leaves in the middle makes the archive end early; whatever the importer makes of
 * it, no image may come of that, so a finished one is removed again.
 */
#include "server/import.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/grpc_utf8.h"
#include "server/image_aliases.h"
#include "server/import_handlers.h"
#include "server/link.h"
#include "server/mutation.h"
#include "server/store.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/queue.h>

#define IMPORTS_MAX	    8
#define PIPE_SIZE	    (1 << 20)
#define UNPACKED_MAX	    (UINT64_C(16) << 30)
#define ENTRIES_MAX	    UINT64_C(2000000)
#define NO_PROGRESS_SECONDS 120
#define PROGRESS_EVERY_USEC 200000u

struct import {
	LIST_ENTRY(import) entry;
	struct server *server;
	struct mutation *mutation; /* ended: NULL */
	struct grpc_call *call;	   /* a reference */
	struct image *image;	   /* in the model, not visible */
	char init[IMAGE_INIT_PATH_MAX];
	char reference[IMAGE_REFERENCE_MAX];
	int pipe; /* -1: the archive has ended, or nobody reads it */
	struct evbuffer *buffer;
	struct event *writable;
	uint64_t told_boot_usec; /* when progress was last sent */
	bool ending;		 /* the client has sent all */
	bool closed;		 /* nobody reads the archive any more */
	bool cancelled;
};

struct import_table {
	LIST_HEAD(, import) imports;
	size_t n;
};

int import_table_create(struct server *server, struct err *err)
{
	server->imports = calloc(1, sizeof(*server->imports));
	return server->imports ? 0 : err_oom(err);
}

static void close_pipe(struct import *import)
{
	if (import->writable)
		event_free(import->writable);
	import->writable = NULL;
	import->closed = true;
	close_fd(&import->pipe);
	if (import->buffer)
		evbuffer_drain(import->buffer, evbuffer_get_length(import->buffer));
}

static void import_free(struct import *import)
{
	LIST_REMOVE(import, entry);
	import->server->imports->n--;
	close_pipe(import);
	if (import->buffer)
		evbuffer_free(import->buffer);
	grpc_call_set_data(import->call, NULL);
	grpc_call_unref(import->call);
	free(import);
}

void import_table_destroy(struct server *server)
{
	free(server->imports);
	server->imports = NULL;
}

/* It failed and the supervisor has nothing of it. */
static void import_fail(struct import *import, const struct err *err)
{
	import_forget(import->server, import->image);
	mutation_fail(import->mutation, err);
	import_free(import);
}

/* It failed, and something of it may be there: until that is gone, its name is taken. */
static void import_fail_undo(struct import *import, const struct err *err)
{
	import_undo(import->server, import->image);
	mutation_fail(import->mutation, err);
	import_free(import);
}

/* --- the archive --- */

static void flush(struct import *import)
{
	while (import->pipe >= 0 && evbuffer_get_length(import->buffer)) {
		int n = evbuffer_write(import->buffer, import->pipe);

		if (n < 0 && errno == EAGAIN) {
			event_add(import->writable, NULL);
			return;
		}
		/* The importer has stopped reading: its answer says why. */
		if (n <= 0)
			close_pipe(import);
	}
	if (import->ending)
		close_pipe(import);
	else
		grpc_call_set_receiving(import->call, true);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

void import_message(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ImportImageRequest *request = (const void *)message;
	struct import *import = grpc_call_data(call);

	if (!import || import->closed ||
		request->kind_case != CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_DATA)
		return;
	if (evbuffer_add(import->buffer, request->data.data, request->data.len) < 0) {
		close_pipe(import);
		return;
	}
	/* Let through again when the pipe has taken it. */
	grpc_call_set_receiving(call, false);
	if (import->pipe >= 0)
		flush(import);
}

void import_half_closed(struct grpc_call *call)
{
	struct import *import = grpc_call_data(call);

	if (!import)
		return;
	import->ending = true;
	if (import->pipe >= 0)
		flush(import);
}

void import_cancelled(struct grpc_call *call)
{
	struct import *import = grpc_call_data(call);

	if (!import)
		return;
	import->cancelled = true;
	close_pipe(import);
}

/* --- the answer --- */

struct import_response {
	Croft__V1__ImportImageResponse msg;
	struct image_message image;
	char text[160];
	char *warnings[1];
};

static const ProtobufCMessage *fill_response(
	const struct import *import, struct import_response *out)
{
	const struct image *image = import->image;

	croft__v1__import_image_response__init(&out->msg);
	convert_image(&import->server->model, image, &out->image);
	out->msg.kind_case = CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND_IMAGE;
	out->msg.image = &out->image.msg;
	if (image->init[0])
		return &out->msg.base;
	snprintf(out->text, sizeof(out->text),
		"image %s has no init: each launch must name a command of its own to run as init",
		image->name);
	out->warnings[0] = out->text;
	out->msg.warnings = out->warnings;
	out->msg.n_warnings = 1;
	return &out->msg.base;
}

static void on_committed(void *arg, const struct err *err)
{
	struct import *import = arg;
	struct import_response out;

	if (err) {
		import_fail_undo(import, err);
		return;
	}
	import->image->visible = true;
	log_info("image-imported image=%s bytes=%llu", import->image->name,
		(unsigned long long)import->image->size_bytes);
	mutation_reply(import->mutation, fill_response(import, &out));
	import_free(import);
}

static uint32_t stop_signal(uint32_t init)
{
	switch (init) {
	case IMAGE_INIT_SYSTEMD:
		/* systemd(1): SIGRTMIN+3 halts the machine. */
		return (uint32_t)SIGRTMIN + 3;
	case IMAGE_INIT_BUSYBOX:
		/* busybox init: SIGUSR2 is poweroff. */
		return SIGUSR2;
	case IMAGE_INIT_SYSV:
		/* What the kernel tells an init of ctrl-alt-del, and the one signal that all of
		   them take for a way down: as a reboot, which ends a container being stopped. */
		return SIGINT;
	default:
		return SIGTERM;
	}
}

static bool list_is_text(char *const *list)
{
	for (; *list; list++)
		if (!grpc_utf8_is_valid((const uint8_t *)*list, strlen(*list)))
			return false;
	return true;
}

/* What the supervisor checked is checked for what only concerns replies: that it is text. */
static int take_app(struct import *import, int fd, struct err *err)
{
	struct image_config *app = NULL;
	int r = image_config_read(fd, &app, err);

	if (r < 0)
		return r;
	if (!list_is_text(app->argv) || !list_is_text(app->envp) ||
		!list_is_text((char *[]){(char *)app->user, (char *)app->working_dir, NULL})) {
		image_config_free(app);
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the image's command or environment is not UTF-8");
	}
	import->image->app = app;
	return 0;
}

static void run_app(struct image *image)
{
	snprintf(image->init, sizeof(image->init), "%s", image->app->argv[0]);
	image->stop_signal = image->app->stop_signal;
}

static void fill_image(struct import *import, const struct image_report *report)
{
	struct image *image = import->image;

	memcpy(image->init, report->init_path, sizeof(image->init));
	image->init[sizeof(image->init) - 1] = '\0';
	image->stop_signal = stop_signal(report->init);
	/* An init that the importing names replaces whatever the image says. */
	if (import->init[0]) {
		image_config_free(take_ptr(image->app));
		if (strcmp(import->init, image->init) != 0) {
			memcpy(image->init, import->init, sizeof(image->init));
			image->stop_signal = SIGTERM;
		}
	}
	if (image->app)
		run_app(image);
	image->size_bytes = report->bytes;
	image->entries = report->entries;
	image->skipped_devices = report->skipped_devices;
	image->created_wall_usec = clock_wall_usec();
}

static void add_event(struct db_tx *tx, const struct image *image)
{
	struct details d;

	details_init(&d);
	details_text(&d, "uid", image->uid);
	details_text(&d, "init", image->init);
	details_number(&d, "size_bytes", image->size_bytes);
	details_number(&d, "entries", image->entries);
	details_number(&d, "skipped_devices", image->skipped_devices);
	events_add_image(
		tx, image, "image.imported", details_end(&d), "image %s was imported", image->name);
}

static void store_image(struct import *import)
{
	struct db_tx *tx = db_tx_new();
	struct import_response out;

	store_put_image(tx, import->image);
	store_delete_import(tx, import->image->name);
	add_event(tx, import->image);
	mutation_store(import->mutation, tx, fill_response(import, &out));
	db_commit(import->server->db, tx, on_committed, import);
}

static void on_imported(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_image_imported *imported = reply;
	struct import *import = arg;
	struct err failure;
	int r = err || !n_fds ? 0 : take_app(import, fds[0], &failure);

	link_close_fds(fds, n_fds);
	close_pipe(import);
	if (err && !strcmp(err->reason, "SUPERVISOR_GONE")) {
		import_fail_undo(import, err);
		return;
	}
	if (err) {
		import_fail(import, err);
		return;
	}
	if (r < 0) {
		import_fail_undo(import, &failure);
		return;
	}
	if (import->cancelled) {
		err_set(&failure, ERR_CANCELLED, "IMPORT_CANCELLED",
			"the archive was not sent to its end");
		import_fail_undo(import, &failure);
		return;
	}
	fill_image(import, &imported->report);
	store_image(import);
}

void import_progress(struct server *server, const struct msg_import_progress *msg)
{
	Croft__V1__ImportImageResponse response = CROFT__V1__IMPORT_IMAGE_RESPONSE__INIT;
	Croft__V1__ImportProgress progress = CROFT__V1__IMPORT_PROGRESS__INIT;
	uint64_t now = clock_boot_usec();
	struct import *import;

	LIST_FOREACH (import, &server->imports->imports, entry)
		if (!strncmp(import->image->name, msg->image, sizeof(msg->image)))
			break;
	if (!import || now - import->told_boot_usec < PROGRESS_EVERY_USEC ||
		!grpc_call_writable(import->call))
		return;
	import->told_boot_usec = now;
	progress.bytes = msg->bytes;
	progress.entries = msg->entries;
	response.kind_case = CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND_PROGRESS;
	response.progress = &progress;
	grpc_send(import->call, &response.base);
}

/* --- the start --- */

int import_check_name(struct server *server, const char *name, struct err *err)
{
	const struct image *same;
	int r = name_check("image", name, err);

	if (r < 0)
		return r;
	same = model_any_image(&server->model, name);
	if (same && !same->visible)
		return err_set(err, ERR_ALREADY_EXISTS, "IMAGE_EXISTS",
			"an import of image %s is under way, or being undone; try again later",
			name);
	if (same)
		return err_set(err, ERR_ALREADY_EXISTS, "IMAGE_EXISTS",
			"there is an image %s already; delete it first", name);
	if (server->model.images.n >= IMAGES_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_IMAGES", "images",
			"this host has %d images, which is the most", IMAGES_MAX);
	return image_alias_check_free(&server->model, name, err);
}

static int check(
	struct server *server, const Croft__V1__ImportImageRequest *request, struct err *err)
{
	const Croft__V1__ImportImageStart *start = request->start;

	if (request->kind_case != CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_START)
		return err_set(err, ERR_INVALID_ARGUMENT, "START_MISSING",
			"the first request of an import is its start");
	if (start->init[0] && (start->init[0] != '/' || strlen(start->init) >= IMAGE_INIT_PATH_MAX))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "INIT_INVALID", "init",
			"the init \"%.60s\" is not an absolute path", start->init);
	if (!image_reference_is_valid(start->reference))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "REFERENCE_INVALID", "reference",
			"a reference has at most %d characters, and no blanks",
			IMAGE_REFERENCE_MAX - 1);
	if (server->imports->n >= IMPORTS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_IMPORTS", "imports",
			"%d imports are under way, which is the most; try again later",
			IMPORTS_MAX);
	return import_check_name(server, start->image_id, err);
}

static int open_pipe(struct import *import, int *ret_theirs, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	import->pipe = fds[1];
	*ret_theirs = fds[0];
	/* Larger where the host allows it; the default works too. */
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	import->writable = event_new(
		import->server->base, import->pipe, EV_WRITE, on_writable, import);
	if (!import->writable || fd_set_nonblock(import->pipe, true) < 0)
		return err_oom(err);
	return 0;
}

static int send_import(struct import *import, struct err *err)
{
	struct msg_image msg = {.limits = {.bytes = UNPACKED_MAX,
					.entries = ENTRIES_MAX,
					.seconds = NO_PROGRESS_SECONDS}};
	_cleanup_close_ int theirs = -1;
	int r = open_pipe(import, &theirs, err);

	if (r < 0)
		return r;
	memcpy(msg.image, import->image->name, sizeof(msg.image));
	memcpy(msg.init, import->init, sizeof(msg.init));
	memcpy(msg.reference, import->reference, sizeof(msg.reference));
	return link_send(
		import->server->link, MSG_IMAGE_IMPORT, &msg, &theirs, 1, on_imported, import, err);
}

static struct import *import_new(struct mutation *m, const Croft__V1__ImportImageStart *start)
{
	struct import *import = calloc(1, sizeof(*import));
	struct server *server = m->server;

	if (!import)
		return NULL;
	import->buffer = evbuffer_new();
	import->image = import->buffer ? model_add_image(&server->model, start->image_id) : NULL;
	if (!import->image) {
		if (import->buffer)
			evbuffer_free(import->buffer);
		free(import);
		return NULL;
	}
	import->server = server;
	import->mutation = m;
	import->call = grpc_call_ref(m->call);
	import->pipe = -1;
	snprintf(import->init, sizeof(import->init), "%s", start->init);
	snprintf(import->reference, sizeof(import->reference), "%s", start->reference);
	LIST_INSERT_HEAD(&server->imports->imports, import, entry);
	server->imports->n++;
	return import;
}

static void on_recorded(void *arg, const struct err *err)
{
	struct import *import = arg;
	struct err failure;

	if (!err && import->cancelled) {
		err_set(&failure, ERR_CANCELLED, "IMPORT_CANCELLED",
			"the archive was not sent to its end");
		err = &failure;
	}
	if (!err && send_import(import, &failure) < 0)
		err = &failure;
	if (err)
		import_fail(import, err);
	else
		flush(import);
}

void import_start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ImportImageRequest *request = (const void *)message;
	bool is_start = request->kind_case == CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_START;
	struct mutation *m = mutation_begin(
		call, message, is_start ? request->start->request_id : "");
	struct import *import;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (check(m->server, request, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	import = import_new(m, request->start);
	if (!import) {
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	grpc_call_set_data(call, import);
	/* Nothing of the archive before it is on record that something may have to be undone. */
	grpc_call_set_receiving(call, false);
	tx = db_tx_new();
	store_put_import(tx, import->image->name);
	db_commit(m->server->db, tx, on_recorded, import);
}
