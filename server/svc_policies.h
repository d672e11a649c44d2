/* The policies that the supervisor has compiled, as it last told. */
#pragma once

#include "sandbox/supervisor_client.h"

struct server;

/* One policy of a list that was asked for. */
void policies_take(struct server *server, const struct msg_policy_info *info);
void policies_forget(struct server *server);
