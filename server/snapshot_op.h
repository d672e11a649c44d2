/*
 * Making and removing snapshots: what svc_snapshots.c is asked for, what a schedule asks for, and
 * what a crash has left to be undone. Its container is held (`changing`) as long as it takes.
 */
#pragma once

#include "server/mutation.h"
#include "server/snapshot.h"

struct snapshot_op {
	struct server *server;
	struct mutation *mutation;   /* NULL: nobody asked */
	struct container *container; /* a reference, held */
	struct snapshot *snapshot;
	bool failed;	/* it could not be made, and is being removed again */
	struct err why; /* that */
	struct err err;
};

/* Holds the container; ABORTED when it is being changed. NULL with err: nothing was done. */
struct snapshot_op *snapshot_op_new(struct server *server, struct mutation *mutation,
	struct container *container, struct err *err);
/* Lets go of the container; the mutation (if any) has been ended. */
void snapshot_op_free(struct snapshot_op *op);

/* Whether the container may have another one of this name. */
int snapshot_check_new(const struct container *container, const char *name, struct err *err);
/* Makes op->snapshot, which is new in the model; answers, and frees op. */
void snapshot_make(struct snapshot_op *op);
/* Ends op, whose snapshot by schedule came to nothing before it was begun: tells of op->err. */
void snapshot_op_failed(struct snapshot_op *op, const char *name);
/* Removes op->snapshot; answers, and frees op. Goes on by itself after a failure on the way. */
void snapshot_drop(struct snapshot_op *op);
/* After each reconciliation: removes what is half made or half removed. */
void snapshot_settle_all(struct server *server);
