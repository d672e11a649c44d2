/*
 * What is on the bill, by name: what the server counts and what a rate card may have a price for.
 * The server's table (server/ledger_meters.c) says how each is counted, in the same order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct meter_name {
	const char *name;
	bool has_price; /* a month's can have one: it adds up, or is a percentile; a peak cannot */
};

extern const struct meter_name meter_names[];
extern const size_t meter_names_n;

/* NULL when there is none of that name. */
const struct meter_name *meter_find(const char *name);

#define METER_LIST_MAX 240
/*
 * What a mistyped name could have been meant to be: those that begin with the same word and can
 * have a price, or, where there are none, the words that they begin with. Returns out.
 */
const char *meter_list_like(const char *name, char out[static METER_LIST_MAX]);
