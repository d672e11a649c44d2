/*
 * Making, resizing and removing a volume. Its row comes before it and goes after it, so that
 * whatever is killed in between, a row tells what is left to be removed.
 */
#pragma once

#include "server/mutation.h"
#include "server/volume.h"

#include "croft/v1/volumes.pb-c.h"

struct volume_op {
	struct server *server;
	struct mutation *mutation; /* NULL: nobody waits, or `done` is told */
	void (*done)(void *arg, const struct err *err);
	void *arg;
	struct tenant *tenant; /* a reference */
	struct volume *volume; /* held */
	uint64_t size_bytes;   /* the new one; after the change, the old */
	bool force;
	bool failed; /* what is removed is what could not be made, for this: */
	struct err why;
	struct err err;
};

struct volume_message {
	Croft__V1__Volume msg;
	Google__Protobuf__Timestamp created;
	char name[RESOURCE_SIZE];
	char (*containers)[RESOURCE_SIZE]; /* owned */
	char **list;			   /* owned */
};

/* Fills a message of the volume; NULL when out of memory. finish() is due either way. */
const ProtobufCMessage *volume_message_fill(
	const struct volume *volume, struct volume_message *out);
void volume_message_finish(struct volume_message *out);

/*
 * Takes the volume for one operation, which answers the mutation (NULL: none). NULL with err:
 * ABORTED / VOLUME_BUSY while there is another.
 */
struct volume_op *volume_op_new(
	struct server *server, struct mutation *mutation, struct volume *volume, struct err *err);

/* Each takes op over. */
void volume_make(struct volume_op *op);
void volume_drop(struct volume_op *op);
void volume_resize(struct volume_op *op);

/* Removes what is half made or half removed. After each reconciliation. */
void volume_settle_all(struct server *server);
