/* Counters that nobody has any more. */
#pragma once

#include "sandbox/net_rules.h"
#include "sandbox/net_usage.h"

#include <stdio.h>

/*
 * Writes what deletes each counter in `counted` (may be NULL) whose container has no row.
 * Returns 0 or -ENOMEM.
 */
int stale_write(FILE *out, const struct net_rules *rules, const struct net_usage_table *counted);
