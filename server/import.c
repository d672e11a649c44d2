/*
 * ImportImage: the client's bytes go through a pipe to the supervisor's importer, no faster than it
 * takes them; see import.h. croftd never looks into the archive.
 *
 * A client that leaves in the middle makes the archive end early; whatever the importer makes of
 * it, no image may come of that, so a finished one is removed again.
 */
#include "server/import.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/container_import.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/feed.h"
#include "server/image_aliases.h"
#include "server/import_handlers.h"
#include "server/link.h"
#include "server/mutation.h"
#include "server/store.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#define IMPORTS_MAX  8
#define UNPACKED_MAX (UINT64_C(16) << 30)
#define ENTRIES_MAX  UINT64_C(2000000)

struct import {
	LIST_ENTRY(import) entry;
	struct server *server;
	struct mutation *mutation; /* ended: NULL */
	struct image *image;	   /* in the model, not visible */
	char init[IMAGE_INIT_PATH_MAX];
	char reference[IMAGE_REFERENCE_MAX];
	struct feed feed;
	struct err err; /* it is being undone */
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

static void import_free(struct import *import)
{
	LIST_REMOVE(import, entry);
	import->server->imports->n--;
	feed_finish(&import->feed);
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

static void on_undone(void *arg)
{
	struct import *import = arg;

	mutation_fail(import->mutation, &import->err);
	import_free(import);
}

/* It failed, and something of it may be there: until that is gone, its name is taken. */
static void import_fail_undo(struct import *import, const struct err *err)
{
	import->err = *err;
	feed_close(&import->feed);
	import_undo(import->server, import->image, on_undone, import);
}

/* --- the archive --- */

void import_message(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ImportImageRequest *request = (const void *)message;

	feed_message(call, request->kind_case == CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_DATA,
		&request->data);
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
	int r = err || !n_fds ? 0 : import_take_app(import->image, fds[0], &failure);

	link_close_fds(fds, n_fds);
	feed_close(&import->feed);
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
	if (import->feed.cancelled) {
		err_set(&failure, ERR_CANCELLED, "IMPORT_CANCELLED",
			"the archive was not sent to its end");
		import_fail_undo(import, &failure);
		return;
	}
	import_fill_image(import->image, &imported->report, import->init);
	store_image(import);
}

void import_progress(struct server *server, const struct msg_import_progress *msg)
{
	Croft__V1__ImportImageResponse response = CROFT__V1__IMPORT_IMAGE_RESPONSE__INIT;
	Croft__V1__ImportProgress progress = CROFT__V1__IMPORT_PROGRESS__INIT;
	struct import *import;

	if (!msg->image[0]) {
		container_import_progress(server, msg);
		return;
	}
	LIST_FOREACH (import, &server->imports->imports, entry)
		if (!strncmp(import->image->name, msg->image, sizeof(msg->image)))
			break;
	if (!import || !feed_tells(&import->feed))
		return;
	progress.bytes = msg->bytes;
	progress.entries = msg->entries;
	response.kind_case = CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND_PROGRESS;
	response.progress = &progress;
	grpc_send(import->feed.call, &response.base);
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

static int send_import(struct import *import, struct err *err)
{
	struct msg_image msg = {.limits = {.bytes = UNPACKED_MAX,
					.entries = ENTRIES_MAX,
					.seconds = import->server->config->transfer_seconds}};
	_cleanup_close_ int theirs = -1;
	int r = feed_open(&import->feed, import->server->base, &theirs, err);

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
	if (feed_init(&import->feed, m->call) == 0)
		import->image = model_add_image(&server->model, start->image_id);
	if (!import->image) {
		feed_finish(&import->feed);
		free(import);
		return NULL;
	}
	import->server = server;
	import->mutation = m;
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

	if (!err && import->feed.cancelled) {
		err_set(&failure, ERR_CANCELLED, "IMPORT_CANCELLED",
			"the archive was not sent to its end");
		err = &failure;
	}
	if (!err && send_import(import, &failure) < 0)
		err = &failure;
	if (err)
		import_fail(import, err);
	else
		feed_flush(&import->feed);
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
	/* Nothing is received before it is on record that something may have to be undone. */
	tx = db_tx_new();
	store_put_import(tx, import->image->name);
	db_commit(m->server->db, tx, on_recorded, import);
}
