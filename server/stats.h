/*
 * What croftd counts of its own work, for its operator (metrics.h). In memory alone: it begins anew
 * with each croftd.
 */
#pragma once

#include "base/err.h"
#include "server/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grpc_method;

#define STATS_CODES 17 /* enum err_code */

/* Of one method. How long a stream lasts says nothing, so that `took` has the unary ones alone. */
struct rpc_stats {
	uint64_t ended[STATS_CODES]; /* by the status that the client was given */
	struct histogram took;
};

struct stats {
	struct rpc_stats *rpcs;	     /* owned; one a row of grpc_methods */
	struct histogram db_commits; /* from the queue to durable, with the wait for others */
	struct histogram db_reads;
	struct histogram starts; /* of containers, until both committed and executed */
	struct histogram sweeps; /* from the first read to durable */
	uint64_t starts_failed;
	uint64_t sweeps_failed;	  /* could not be committed */
	int64_t swept_wall_usec;  /* the last committed one; 0: none yet */
	int64_t closed_wall_usec; /* hours, by the last round that ended well; 0: none yet */
	uint64_t damaged_runs;	  /* that it could not close */
	uint64_t supervisor_connects;
	uint64_t scrapes;
};

int stats_init(struct stats *stats, struct err *err);
void stats_finish(struct stats *stats);

/* A call ended. As grpc_server_config.ended; arg is the struct server. */
void stats_rpc_ended(
	void *arg, const struct grpc_method *method, enum err_code code, uint64_t usec);
/* A job of the database ended. As db_config.ended. */
void stats_db_ended(void *arg, bool is_write, uint64_t usec);
