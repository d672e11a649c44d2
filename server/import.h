/* Imports under way: a client's stream on its way into the supervisor's importer. */
#pragma once

#include "sandbox/supervisor_client.h"
#include "server/server.h"

int import_table_create(struct server *server, struct err *err);
void import_table_destroy(struct server *server);

/* The importer's report on its way. */
void import_progress(struct server *server, const struct msg_import_progress *msg);
