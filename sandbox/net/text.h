/* The rules as text of nft's language: the only place where it is written. */
#pragma once

#include "sandbox/net_rules.h"
#include "sandbox/net_usage.h"

/*
 * Writes what does the rules' operation, as one transaction. `counted` (may be NULL) is what there
 * are counters of: with NET_REPLACE, those without a row go. *ret_text is the caller's to free.
 * Returns 0 or -errno.
 */
int text_build(const struct net_rules *rules, const struct net_usage_table *counted,
	char **ret_text, struct err *err);
