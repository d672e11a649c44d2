/* What /metrics says of the host, and of croftd's own work: figures that croftd has in memory. */
#pragma once

#include "server/metrics_text.h"
#include "server/server.h"

void metrics_add_host(struct metrics_text *text, const struct server *server);
void metrics_add_work(struct metrics_text *text, const struct server *server);
/* One method's calls; nothing of those that were never called. */
void metrics_add_rpcs(struct metrics_text *text, const struct server *server);
