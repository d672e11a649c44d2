/* Imports under way: a client's stream on its way into the supervisor's importer. */
#pragma once

#include "sandbox/supervisor_client.h"
#include "server/server.h"

int import_table_create(struct server *server, struct err *err);
void import_table_destroy(struct server *server);

/* Whether there may be a new image of that name: valid, free, and room for one more. */
int import_check_name(struct server *server, const char *name, struct err *err);
/* Forgets an import of which the supervisor has nothing. */
void import_forget(struct server *server, struct image *image);
/*
 * Takes back what the supervisor may have of one; until then its name is taken. done (may be NULL)
 * is called once: when its name is free, or cannot be freed for now.
 */
void import_undo(struct server *server, struct image *image, void (*done)(void *arg), void *arg);
/* Takes back what is left of imports that came to nothing; called when the link is ready. */
void import_undo_all(struct server *server);

/* Gives an image the config of an application that came with a report; 0 or -errno. */
int import_take_app(struct image *image, int fd, struct err *err);
/* How it starts and stops, and what it holds. init: what is run instead of its own; "" for that. */
void import_fill_image(struct image *image, const struct image_report *report, const char *init);

/* The importer's report on its way. */
void import_progress(struct server *server, const struct msg_import_progress *msg);
