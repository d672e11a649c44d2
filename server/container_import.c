/*
 * ImportContainer: a new container whose files are those of the client's file, all of them its own:
 * it stands on no image. croftd never looks into the file. Its row comes first, marked as
 * unfinished, so that a crash in between is cleaned up as that of any container that was being made
 * (reconcile.c); what came to nothing goes the way of every deletion.
 */
#include "server/container_import.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/container_new.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/feed.h"
#include "server/import.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/mutation.h"
#include "server/snapshot_travel.h"
#include "server/store.h"

#include <stdlib.h>
#include <string.h>

#define IMPORTS_MAX  16			  /* on the host; the supervisor lets a tenant have one */
#define UNPACKED_MAX (UINT64_C(16) << 30) /* where no disk limit says less or more */
#define ENTRIES_MAX  UINT64_C(2000000)
#define BYTES_MAX    (UINT64_C(1) << 44) /* that the supervisor takes */
/* The same with its snapshots. */
#define ALL_BYTES_MAX	(4 * UNPACKED_MAX)
#define ALL_ENTRIES_MAX (4 * ENTRIES_MAX)

struct container_import {
	LIST_ENTRY(container_import) entry;
	struct server *server;
	struct mutation *mutation;
	struct container *container; /* a reference; in the model, not visible */
	struct feed feed;
	bool with_snapshots;
	struct err err; /* it is being taken back */
};

static void import_free(struct container_import *import)
{
	LIST_REMOVE(import, entry);
	import->server->n_container_imports--;
	feed_finish(&import->feed);
	container_unref(import->container);
	free(import);
}

/* Before anything of it is on disk. */
static void drop(struct container_import *import, const struct err *err)
{
	model_remove_container(import->container);
	mutation_fail(import->mutation, err);
	import_free(import);
}

static void on_gone(void *arg, const struct err *err)
{
	struct container_import *import = arg;

	(void)err;
	mutation_fail(import->mutation, &import->err);
	import_free(import);
}

/* Answered when its name is free again, or cannot be freed for now. */
static void take_back(struct container_import *import, const struct err *err)
{
	import->err = *err;
	feed_close(&import->feed);
	delete_unmade(import->server, import->container, on_gone, import);
}

/* --- the file --- */

void container_import_message(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ImportContainerRequest *request = (const void *)message;

	feed_message(call, request->kind_case == CROFT__V1__IMPORT_CONTAINER_REQUEST__KIND_DATA,
		&request->data);
}

static int not_whole(struct err *err)
{
	return err_set(err, ERR_CANCELLED, "IMPORT_CANCELLED", "the file was not sent to its end");
}

/* --- the answer --- */

struct import_response {
	Croft__V1__ImportContainerResponse msg;
	struct container_message container;
};

static const ProtobufCMessage *fill_response(
	const struct container_import *import, struct import_response *out)
{
	croft__v1__import_container_response__init(&out->msg);
	convert_container(import->container, &out->container);
	out->msg.kind_case = CROFT__V1__IMPORT_CONTAINER_RESPONSE__KIND_CONTAINER;
	out->msg.container = &out->container.msg;
	return &out->msg.base;
}

static void on_confirmed(void *arg, const struct err *err)
{
	struct container_import *import = arg;
	struct container *c = import->container;
	struct import_response out;

	if (err) {
		take_back(import, err);
		return;
	}
	c->visible = true;
	log_info("container-imported tenant=%s container=%s bytes=%llu", c->tenant->name, c->name,
		(unsigned long long)c->own->size_bytes);
	mutation_reply(import->mutation, fill_response(import, &out));
	import_free(import);
}

static void store_snapshots(struct db_tx *tx, const struct container *c)
{
	struct map_node *node;

	MAP_FOREACH(node, &c->snapshots)
	{
		struct snapshot *s = map_object(node, struct snapshot, by_name);

		s->visible = true;
		store_put_snapshot(tx, s);
	}
}

static void store(struct container_import *import)
{
	struct container *c = import->container;
	struct db_tx *tx = db_tx_new_essential();
	struct import_response out;
	struct details d;

	c->launching = false;
	details_init(&d);
	details_text(&d, "init", c->own->init);
	details_number(&d, "size_bytes", c->own->size_bytes);
	details_number(&d, "entries", c->own->entries);
	details_number(&d, "snapshots", c->snapshots.n);
	store_put_container(tx, c);
	store_put_own(tx, c);
	store_snapshots(tx, c);
	events_add_container(tx, c, "", "container.imported", details_end(&d), "%s/%s was imported",
		c->tenant->name, c->name);
	mutation_store(import->mutation, tx, fill_response(import, &out));
	db_commit(import->server->db, tx, on_confirmed, import);
}

static int take(struct container_import *import, const struct msg_image_imported *imported,
	const int *fds, size_t n_fds, struct err *err)
{
	struct container *c = import->container;
	size_t n_config = imported->report.config_size != 0;
	int r = 0;

	if (n_fds != n_config + import->with_snapshots)
		return err_set(err, ERR_INTERNAL, "SUPERVISOR_REPLY",
			"the supervisor's answer lacks what comes with it");
	if (n_config)
		r = import_take_app(c->own, fds[0], err);
	if (r == 0 && import->with_snapshots)
		r = snapshots_unpack(c, fds[n_config], err);
	if (r < 0)
		return r;
	if (import->feed.cancelled)
		return not_whole(err);
	if (c->gone || c->condemned)
		return err_set(err, ERR_ABORTED, "CONTAINER_BUSY",
			"%s/%s is being deleted with its tenant", c->tenant->name, c->name);
	import_fill_image(c->own, &imported->report, "");
	if (c->own->init[0] || c->init_args)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "INIT_NOT_FOUND",
		"there is no init in the file; import it with a command to run as one");
}

static void on_imported(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct container_import *import = arg;
	struct err failure;
	int r = err ? -1 : take(import, reply, fds, n_fds, &failure);

	link_close_fds(fds, n_fds);
	feed_close(&import->feed);
	if (r < 0)
		take_back(import, err ? err : &failure);
	else
		store(import);
}

void container_import_progress(struct server *server, const struct msg_import_progress *msg)
{
	Croft__V1__ImportContainerResponse response = CROFT__V1__IMPORT_CONTAINER_RESPONSE__INIT;
	Croft__V1__ImportProgress progress = CROFT__V1__IMPORT_PROGRESS__INIT;
	struct container_import *import;

	LIST_FOREACH (import, &server->container_imports, entry)
		if (!strncmp(import->container->name, msg->container, NAME_SIZE) &&
			!strncmp(import->container->tenant->name, msg->tenant, NAME_SIZE))
			break;
	if (!import || !feed_tells(&import->feed))
		return;
	progress.bytes = msg->bytes;
	progress.entries = msg->entries;
	response.kind_case = CROFT__V1__IMPORT_CONTAINER_RESPONSE__KIND_PROGRESS;
	response.progress = &progress;
	grpc_send(import->feed.call, &response.base);
}

/* --- the start --- */

/* What it may unpack to: no more than fits its own limit and its tenant's. */
static uint64_t bytes_max(const struct container *c)
{
	uint64_t own = c->limits.value[LIMIT_DISK];
	uint64_t all = c->tenant->limits.value[LIMIT_DISK];
	uint64_t least = own < all ? own : all;

	if (least == LIMIT_UNSET)
		return UNPACKED_MAX;
	return least < BYTES_MAX ? least : BYTES_MAX;
}

/* With its snapshots, which count to the tenant alone. */
static uint64_t all_bytes_max(const struct container *c)
{
	uint64_t all = c->tenant->limits.value[LIMIT_DISK];

	if (all == LIMIT_UNSET)
		return ALL_BYTES_MAX;
	return all < BYTES_MAX ? all : BYTES_MAX;
}

static int send_import(struct container_import *import, struct err *err)
{
	const struct container *c = import->container;
	struct msg_container_import msg = {
		.limits = {.bytes = bytes_max(c),
			.entries = ENTRIES_MAX,
			.seconds = import->server->config->transfer_seconds,
			.snapshots = import->with_snapshots ? SNAPSHOTS_MAX : 0,
			.all_bytes = all_bytes_max(c),
			.all_entries = ALL_ENTRIES_MAX},
		.disk = limits_disk(&c->limits),
	};
	_cleanup_close_ int theirs = -1;
	int r = feed_open(&import->feed, import->server->base, &theirs, err);

	if (r < 0)
		return r;
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	return link_send(import->server->link, MSG_CONTAINER_IMPORT, &msg, &theirs, 1, on_imported,
		import, err);
}

static void on_marked(void *arg, const struct err *err)
{
	struct container_import *import = arg;
	struct err failure;

	if (err) {
		drop(import, err);
		return;
	}
	import->container->stored = true;
	if ((import->feed.cancelled && not_whole(&failure) < 0) ||
		send_import(import, &failure) < 0)
		take_back(import, &failure);
	else
		feed_flush(&import->feed);
}

/* One at a time, as the supervisor has it: so that a tenant has no more than its share of them. */
static int check_share(const struct server *server, const char *parent, struct err *err)
{
	const struct container_import *import;
	char tenant[NAME_SIZE];
	int r = name_parse_in("tenants", parent, tenant, err);

	if (r < 0)
		return r;
	LIST_FOREACH (import, &server->container_imports, entry)
		if (!strcmp(import->container->tenant->name, tenant))
			return err_set(err, ERR_ABORTED, "IMPORT_BUSY",
				"tenant %s has an import under way: try again when it has ended",
				tenant);
	return 0;
}

static int check(struct server *server, const struct grpc_peer *peer,
	const Croft__V1__ImportContainerRequest *request, struct container **ret, struct err *err)
{
	struct container *c;
	int r;

	if (request->kind_case != CROFT__V1__IMPORT_CONTAINER_REQUEST__KIND_START)
		return err_set(err, ERR_INVALID_ARGUMENT, "START_MISSING",
			"the first request of an import is its start");
	if (server->n_container_imports >= IMPORTS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_IMPORTS", "imports",
			"the host has %d imports under way, which is the most; try again later",
			IMPORTS_MAX);
	r = check_share(server, request->start->parent, err);
	if (r < 0)
		return r;
	r = container_new_own(server, peer, request->start, NULL, &c, err);
	if (r < 0)
		return r;
	r = auth_check_work(peer, c->tenant, err);
	if (r < 0) {
		model_remove_container(c);
		return r;
	}
	*ret = c;
	return 0;
}

/* NULL: out of memory. */
static struct container_import *import_new(
	struct mutation *m, struct container *c, bool with_snapshots)
{
	struct container_import *import = calloc(1, sizeof(*import));

	if (!import)
		return NULL;
	if (feed_init(&import->feed, m->call) < 0) {
		feed_finish(&import->feed);
		free(import);
		return NULL;
	}
	import->server = m->server;
	import->mutation = m;
	import->container = container_ref(c);
	import->with_snapshots = with_snapshots;
	LIST_INSERT_HEAD(&m->server->container_imports, import, entry);
	m->server->n_container_imports++;
	return import;
}

void container_import_start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ImportContainerRequest *request = (const void *)message;
	bool is_start = request->kind_case == CROFT__V1__IMPORT_CONTAINER_REQUEST__KIND_START;
	struct mutation *m = mutation_begin(
		call, message, is_start ? request->start->request_id : "");
	struct container_import *import;
	struct container *c = NULL;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (check(m->server, grpc_call_peer(call), request, &c, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	import = import_new(m, c, !request->without_snapshots);
	if (!import) {
		err_oom(&err);
		model_remove_container(c);
		mutation_fail(m, &err);
		return;
	}
	/* Nothing is received before it is on record that something may have to be undone. */
	c->launching = true;
	tx = db_tx_new();
	store_put_container(tx, c);
	store_put_cloud_init(tx, c);
	events_add_created(tx, c);
	db_commit(m->server->db, tx, on_marked, import);
}
