/* croftd as a whole: its parts put together, run, and taken apart. */
#pragma once

#include "server/config.h"
#include "server/startup.h"

/*
 * Serves until it is told to end (SIGTERM, SIGINT, Host.Shutdown) or its database fails. The
 * listening sockets become the server's. Returns the process's exit status.
 */
int service_run(const struct config *config, struct startup *startup);
