/* Followers of events: each reads the table from its own cursor when something was committed. */
#pragma once

#include "server/server.h"

int event_feed_create(struct server *server, struct err *err);
void event_feed_destroy(struct server *server);
/* Something was committed: followers look. */
void event_feed_wake(struct server *server);
