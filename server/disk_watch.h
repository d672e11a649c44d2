/*
 * Events when somebody has filled its disk: one for each filling. Whose is full is on record, so
 * that a restart tells nothing twice; only who has had room again can fill it anew.
 */
#pragma once

#include "server/server.h"

/* Before db_start(): what is on record. Returns 0 or -errno. */
int disk_watch_load(struct server *server, struct err *err);
/* Looks as often as samples are taken, from now on. */
int disk_watch_start(struct server *server, struct err *err);
void disk_watch_stop(struct server *server);
/* When nothing can call back any more. */
void disk_watch_destroy(struct server *server);

/* A MSG_EVENT_DISK. */
void disk_watch_take(struct server *server, const struct msg_event_disk *msg);
