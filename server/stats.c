/* Counters of croftd's own work; see stats.h. */
#include "server/stats.h"

#include "server/server.h"

#include <stdlib.h>

int stats_init(struct stats *stats, struct err *err)
{
	*stats = (struct stats){.rpcs = calloc(grpc_n_methods, sizeof(*stats->rpcs))};
	return stats->rpcs ? 0 : err_oom(err);
}

void stats_finish(struct stats *stats)
{
	free(stats->rpcs);
	stats->rpcs = NULL;
}

void stats_rpc_ended(void *arg, const struct grpc_method *method, enum err_code code, uint64_t usec)
{
	struct server *server = arg;
	struct rpc_stats *rpc = &server->stats.rpcs[method - grpc_methods];

	rpc->ended[(unsigned)code < STATS_CODES ? code : ERR_UNKNOWN]++;
	if (!method->client_streaming && !method->server_streaming)
		histogram_add(&rpc->took, usec);
}

void stats_db_ended(void *arg, bool is_write, uint64_t usec)
{
	struct server *server = arg;

	histogram_add(is_write ? &server->stats.db_commits : &server->stats.db_reads, usec);
}
