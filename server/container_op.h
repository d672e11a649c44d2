/* One change of a container on its way; what the container handlers have in common. */
#pragma once

#include "server/mutation.h"

struct container_op {
	struct mutation *mutation;
	struct server *server;
	struct container *container; /* a reference */
	/* UpdateContainer: what it is to become. */
	struct limits limits;
	uint64_t cpus[LIMITS_CPU_WORDS];
	bool oom_group;
	struct snapshot_schedule schedule;
	struct health_check health_check;
	struct upkeep upkeep;
	struct cloud_init *cloud_init; /* a reference */
	char cloud_id[UID_SIZE];
	bool force;
	bool holds_change; /* it set container->changing */
	/* What makes containers: what is waited for, and what went wrong. */
	int waiting;
	bool committed;
	bool made;
	struct err err;
};

/* Makes one; NULL: the mutation was answered. */
struct container_op *container_op_begin(struct mutation *mutation, struct container *container);
/* Marks the container as changing; ABORTED when it is already. */
int container_op_hold(struct container_op *op, struct err *err);
/* Ends it with the container as it is now, with nothing (deletions), or with an error. */
void container_op_reply(struct container_op *op);
void container_op_reply_empty(struct container_op *op);
void container_op_fail(struct container_op *op, const struct err *err);

/* Takes back the container that it was making, and fails when that name is free (lifecycle.h). */
void container_op_take_back(struct container_op *op, const struct err *err);

/* Adds the stored reply "the container as it is now". */
void container_op_store(struct container_op *op, struct db_tx *tx);

/* Begins a mutation on the container that `name` names. NULL: answered. */
struct container_op *container_op_find(struct grpc_call *call, const ProtobufCMessage *request,
	const char *request_id, const char *name);
