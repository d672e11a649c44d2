/*
 * Imports that came to nothing: what is left of one is removed from the pool before its name is
 * free again; see import.h. What a crash interrupted is on record, and loaded as undone.
 */
#include "server/import.h"

#include "base/log.h"
#include "server/link.h"
#include "server/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define UNDO_PAUSE_SECONDS 1

void import_forget(struct server *server, struct image *image)
{
	struct db_tx *tx = db_tx_new();

	store_delete_import(tx, image->name);
	db_commit(server->db, tx, NULL, NULL);
	model_remove_image(&server->model, image);
}

struct undo {
	struct server *server;
	struct image *image;
	void (*done)(void *arg); /* may be NULL */
	void *arg;
};

static void undo_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	import_undo_all(arg);
}

static void on_undone(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	static const struct timeval pause = {.tv_sec = UNDO_PAUSE_SECONDS};
	struct undo *undo = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	undo->image->undoing = false;
	if (!err || err->code == ERR_NOT_FOUND) {
		import_forget(undo->server, undo->image);
	} else {
		/* The import of a croftd that was killed may just be ending. */
		log_warning("import-not-undone image=%s reason=%s", undo->image->name, err->reason);
		event_base_once(
			undo->server->base, -1, EV_TIMEOUT, undo_again, undo->server, &pause);
	}
	if (undo->done)
		undo->done(undo->arg);
	free(undo);
}

static int send_undo(struct undo *undo)
{
	struct msg_image msg = {0};
	struct err err;

	memcpy(msg.image, undo->image->name, sizeof(msg.image));
	undo->image->undoing = true;
	return link_send(
		undo->server->link, MSG_IMAGE_REMOVE, &msg, NULL, 0, on_undone, undo, &err);
}

void import_undo(struct server *server, struct image *image, void (*done)(void *arg), void *arg)
{
	struct undo *undo = calloc(1, sizeof(*undo));

	image->undone = true;
	if (undo)
		*undo = (struct undo){server, image, done, arg};
	if (undo && send_undo(undo) == 0)
		return;
	/* Again when the link is ready. */
	image->undoing = false;
	free(undo);
	if (done)
		done(arg);
}

void import_undo_all(struct server *server)
{
	struct map_node *node;

	MAP_FOREACH(node, &server->model.images)
	{
		struct image *image = map_object(node, struct image, by_name);

		if (image->undone && !image->undoing)
			import_undo(server, image, NULL, NULL);
	}
}
