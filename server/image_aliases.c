/*
 * Aliases of images: SetImageAlias and RemoveImageAlias of the service Images. An alias changes
 * once that is committed, and neither it nor an image concerned can be changed otherwise until
 * then.
 */
#include "server/image_aliases.h"

#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/mutation.h"
#include "server/store.h"

#include <stdlib.h>
#include <string.h>

struct alias_op {
	struct mutation *mutation;
	struct server *server;
	struct image_alias *alias;
	struct image *from; /* NULL: it is new */
	struct image *to;   /* NULL: it is to go */
};

static void reply_image(struct mutation *m, struct model *model, struct image *image)
{
	struct image_message out;

	mutation_reply(m, convert_image(model, image, &out));
}

static struct alias_op *op_new(struct mutation *m, struct image_alias *alias, struct image *to)
{
	struct alias_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	*op = (struct alias_op){m, m->server, alias, alias->image, to};
	alias->changing = true;
	if (op->from)
		op->from->alias_changes++;
	if (to)
		to->alias_changes++;
	return op;
}

/* The alias leads to what `image` says from now on; NULL: it is gone. */
static void op_settle(struct alias_op *op, struct image *image)
{
	op->alias->changing = false;
	if (op->from)
		op->from->alias_changes--;
	if (op->to)
		op->to->alias_changes--;
	if (image)
		image_alias_move(op->alias, image);
	else
		model_remove_alias(&op->server->model, op->alias);
}

static void on_committed(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct alias_op *op = arg;

	op_settle(op, err ? op->from : op->to);
	if (err)
		mutation_fail(op->mutation, err);
	else if (op->to)
		reply_image(op->mutation, &op->server->model, op->to);
	else
		mutation_reply(op->mutation, &empty.base);
	free(op);
}

int image_alias_check_free(const struct model *model, const char *name, struct err *err)
{
	const struct image_alias *alias = model_any_alias(model, name);

	if (!alias)
		return 0;
	return err_set(err, ERR_ALREADY_EXISTS, "IMAGE_EXISTS",
		"%s is an alias of image %s; choose another name, or remove the alias", name,
		alias->image ? alias->image->name : "another image");
}

static int busy(const struct image_alias *alias, struct err *err)
{
	return err_set(err, ERR_ABORTED, "ALIAS_BUSY", "the alias %s is being changed; try again",
		alias->name);
}

static int check_set(const struct model *model, const Croft__V1__SetImageAliasRequest *request,
	struct image **ret, struct err *err)
{
	const struct image_alias *alias;
	int r = name_check("alias", request->alias, err);

	if (r == 0)
		r = model_find_image(model, request->name, ret, err);
	if (r < 0)
		return r;
	alias = model_any_alias(model, request->alias);
	if (alias && alias->changing)
		return busy(alias, err);
	if ((*ret)->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_DELETING",
			"image %s is being deleted", (*ret)->name);
	if (alias && alias->image == *ret)
		return 0;
	if (model_any_image(model, request->alias))
		return err_set(err, ERR_ALREADY_EXISTS, "IMAGE_EXISTS",
			"there is an image %s; an alias cannot have its name", request->alias);
	/* Those on their way are counted, of which some may leave it. */
	if ((*ret)->n_aliases + (*ret)->alias_changes >= IMAGE_ALIASES_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_ALIASES", "aliases",
			"image %s has %d aliases, which is the most; remove one", (*ret)->name,
			IMAGE_ALIASES_MAX);
	return 0;
}

/* The reply must show what is to come, as it is stored with it. */
static void store_set_reply(struct alias_op *op, struct db_tx *tx)
{
	struct image_message out;

	image_alias_move(op->alias, op->to);
	mutation_store(op->mutation, tx, convert_image(&op->server->model, op->to, &out));
	image_alias_move(op->alias, op->from);
}

static void commit_set(struct alias_op *op)
{
	struct db_tx *tx = db_tx_new();
	struct details d;

	store_put_alias(tx, op->alias->name, op->to);
	details_init(&d);
	details_text(&d, "alias", op->alias->name);
	if (op->from)
		details_text(&d, "from", op->from->name);
	events_add_image(tx, op->to, "image.alias_set", details_end(&d),
		"%s is an alias of image %s now", op->alias->name, op->to->name);
	store_set_reply(op, tx);
	log_info("image-alias-set alias=%s image=%s", op->alias->name, op->to->name);
	db_commit(op->server->db, tx, on_committed, op);
}

void image_alias_set(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__SetImageAliasRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct image_alias *alias;
	struct alias_op *op = NULL;
	struct image *image;
	struct err err;

	if (!m)
		return;
	if (check_set(&m->server->model, request, &image, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	alias = model_any_alias(&m->server->model, request->alias);
	if (alias && alias->image == image) {
		reply_image(m, &m->server->model, image);
		return;
	}
	if (!alias)
		alias = model_add_alias(&m->server->model, request->alias);
	if (alias)
		op = op_new(m, alias, image);
	if (!op) {
		if (alias && !alias->image)
			model_remove_alias(&m->server->model, alias);
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	commit_set(op);
}

static int check_remove(
	const struct model *model, const char *name, struct image_alias **ret, struct err *err)
{
	int r = name_check("alias", name, err);

	if (r < 0)
		return r;
	*ret = model_any_alias(model, name);
	if (!*ret || (!(*ret)->image && !(*ret)->changing))
		return err_set(err, ERR_NOT_FOUND, "ALIAS_NOT_FOUND", "there is no alias %s", name);
	return (*ret)->changing ? busy(*ret, err) : 0;
}

void image_alias_remove(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__RemoveImageAliasRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct image_alias *alias;
	struct alias_op *op;
	struct db_tx *tx;
	struct details d;
	struct err err;

	if (!m)
		return;
	if (check_remove(&m->server->model, request->alias, &alias, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = op_new(m, alias, NULL);
	if (!op) {
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	tx = db_tx_new();
	store_delete_alias(tx, alias->name);
	details_init(&d);
	details_text(&d, "alias", alias->name);
	events_add_image(tx, op->from, "image.alias_removed", details_end(&d),
		"%s is no alias of image %s any more", alias->name, op->from->name);
	mutation_store(m, tx, &empty.base);
	db_commit(op->server->db, tx, on_committed, op);
}
