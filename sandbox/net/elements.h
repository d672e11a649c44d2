/* The elements of the tables' sets and maps, as nft's language writes them. */
#pragma once

#include "sandbox/net_rules.h"

#include <stdio.h>

enum element_verb { ELEMENT_ADD, ELEMENT_DELETE };

/* Which of an instance's tables a set is in. */
enum element_table { TABLE_RULES, TABLE_COUNT };

/*
 * Writes one command for each set of `table` that the rows have elements of. As long as `out` has
 * no error, what was written is complete; the caller checks it.
 */
void elements_write(
	FILE *out, const struct net_rules *rules, enum element_table table, enum element_verb verb);

/* The sets' definitions: those of one table of the family, "inet" or "bridge". */
void elements_define(
	FILE *out, const struct net_plan *plan, enum element_table table, const char *family);
