/* Figures for a monitoring system, over HTTP on a listener of their own; see ADR 86. */
#pragma once

#include "server/listen.h"
#include "server/server.h"

/* Serves on what startup has bound, whose descriptor becomes its own. fd -1: not wanted. */
int metrics_create(struct server *server, struct listener *listener, struct err *err);
void metrics_destroy(struct server *server);
