/*
 * The service Images: reading and deleting. The import is in import.c.
 */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"
#include "server/auth.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/feed.h"
#include "server/image_aliases.h"
#include "server/import_handlers.h"
#include "server/link.h"
#include "server/mutation.h"
#include "server/page.h"
#include "server/snapshot.h"
#include "server/store.h"

#include <string.h>

/* only: the caller's tenant, which is told of no other's containers; NULL for an operator. */
static const ProtobufCMessage *convert_for(const struct model *model, const struct tenant *only,
	const struct image *image, struct image_message *out)
{
	const ProtobufCMessage *message = convert_image(model, image, out);

	if (only)
		out->msg.container_count = tenant_image_users(only, image->name);
	return message;
}

static void get_image(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetImageRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct image_message out;
	struct tenant *only;
	struct image *image;
	struct err err;

	if (auth_tenant_of(server, grpc_call_peer(call), &only, &err) < 0 ||
		model_find_image(&server->model, request->name, &image, &err) < 0)
		grpc_fail(call, &err);
	else
		grpc_reply(call, convert_for(&server->model, only, image, &out));
}

static bool is_visible(const struct map_node *node, const void *arg)
{
	(void)arg;
	return map_object(node, struct image, by_name)->visible;
}

static void reply_images(struct grpc_call *call, const struct model *model, const struct page *page,
	const struct tenant *only)
{
	Croft__V1__ListImagesResponse reply = CROFT__V1__LIST_IMAGES_RESPONSE__INIT;
	_cleanup_free_ struct image_message *messages = calloc(page->size, sizeof(*messages));
	_cleanup_free_ Croft__V1__Image **list = calloc(page->size, sizeof(Croft__V1__Image *));
	_cleanup_free_ const struct map_node **nodes = calloc(page->size, sizeof(*nodes));
	char token[PAGE_TOKEN_SIZE];
	struct err err;

	if (!messages || !list || !nodes) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	reply.n_images = page_collect(page, "i", &model->images, is_visible, NULL, nodes, token);
	for (size_t i = 0; i < reply.n_images; i++) {
		convert_for(model, only, map_object(nodes[i], struct image, by_name), &messages[i]);
		/* Up to 16 KiB each, which a full page could not hold. */
		messages[i].msg.application = NULL;
		list[i] = &messages[i].msg;
	}
	reply.next_page_token = token;
	reply.images = list;
	grpc_reply(call, &reply.base);
}

static void list_images(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListImagesRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct tenant *only;
	struct page page;
	struct err err;

	if (auth_tenant_of(server, grpc_call_peer(call), &only, &err) < 0 ||
		page_parse("i", request->page_size, request->page_token, &page, &err) < 0)
		grpc_fail(call, &err);
	else
		reply_images(call, &server->model, &page, only);
}

/* --- DeleteImage --- */

struct image_delete {
	struct mutation *mutation;
	struct server *server;
	struct image *image; /* stays in the model until this is done: `deleting` */
};

static void fail_delete(struct image_delete *d, const struct err *err)
{
	d->image->deleting = false;
	mutation_fail(d->mutation, err);
	free(d);
}

static void on_row_deleted(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct image_delete *d = arg;

	if (err) {
		fail_delete(d, err);
		return;
	}
	log_info("image-deleted image=%s", d->image->name);
	model_remove_image(&d->server->model, d->image);
	mutation_reply(d->mutation, &empty.base);
	free(d);
}

static void on_removed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct image_delete *d = arg;
	struct details details;
	struct db_tx *tx;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err && err->code != ERR_NOT_FOUND) {
		fail_delete(d, err);
		return;
	}
	tx = db_tx_new_essential();
	store_delete_image(tx, d->image);
	details_init(&details);
	details_text(&details, "uid", d->image->uid);
	events_add_image(tx, d->image, "image.deleted", details_end(&details),
		"image %s was deleted", d->image->name);
	mutation_store(d->mutation, tx, &empty.base);
	db_commit(d->server->db, tx, on_row_deleted, d);
}

static int check_delete(
	struct server *server, const char *name, struct image **ret, struct err *err)
{
	char own_name[RESOURCE_SIZE];
	uint32_t snapshots;
	uint32_t users;
	int r = model_find_image(&server->model, name, ret, err);

	if (r < 0)
		return r;
	snprintf(own_name, sizeof(own_name), "images/%s", (*ret)->name);
	if (strcmp(name, own_name) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_ALIAS",
			"that is an alias of image %s; delete the image by its name, or remove the "
			"alias",
			(*ret)->name);
	if ((*ret)->alias_changes)
		return err_set(err, ERR_ABORTED, "IMAGE_BUSY",
			"an alias of image %s is being changed; try again", (*ret)->name);
	if ((*ret)->deleting)
		return err_set(
			err, ERR_ABORTED, "IMAGE_BUSY", "image %s is being deleted", (*ret)->name);
	users = model_image_users(&server->model, (*ret)->name);
	if (users)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_IN_USE",
			"image %s is used by %u container%s; delete what uses it first",
			(*ret)->name, users, users == 1 ? "" : "s");
	snapshots = snapshot_image_users(&server->model, (*ret)->name);
	if (snapshots)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_IN_USE",
			"%u snapshot%s could not be restored without image %s; delete what needs "
			"it first",
			snapshots, snapshots == 1 ? "" : "s", (*ret)->name);
	return 0;
}

static void delete_image(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeleteImageRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct msg_image msg = {0};
	struct image_delete *d;
	struct image *image;
	struct err err;

	if (!m)
		return;
	d = calloc(1, sizeof(*d));
	if (!d || check_delete(m->server, request->name, &image, &err) < 0) {
		if (!d)
			err_oom(&err);
		free(d);
		mutation_fail(m, &err);
		return;
	}
	d->mutation = m;
	d->server = m->server;
	d->image = image;
	image->deleting = true;
	memcpy(msg.image, image->name, sizeof(msg.image));
	if (link_send(d->server->link, MSG_IMAGE_REMOVE, &msg, NULL, 0, on_removed, d, &err) < 0)
		fail_delete(d, &err);
}

const struct grpc_handler svc_images_handlers[] = {
	{.path = "/croft.v1.Images/ImportImage",
		.start = import_start,
		.message = import_message,
		.half_closed = feed_half_closed,
		.cancelled = feed_cancelled},
	{.path = "/croft.v1.Images/GetImage", .start = get_image},
	{.path = "/croft.v1.Images/ListImages", .start = list_images},
	{.path = "/croft.v1.Images/DeleteImage", .start = delete_image},
	{.path = "/croft.v1.Images/SetImageAlias", .start = image_alias_set},
	{.path = "/croft.v1.Images/RemoveImageAlias", .start = image_alias_remove},
	{.path = NULL},
};
