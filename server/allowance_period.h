/*
 * The arithmetic of traffic allowances (allowance.h): periods of a month, and how much of an
 * allowance is used. No input or output.
 */
#pragma once

#include "server/model.h"

/*
 * The first 00:00 UTC after wall_usec on that day (1 to 31) of a month; of a month that has no such
 * day, on its last.
 */
int64_t allowance_next_reset(int64_t wall_usec, uint32_t day);

/*
 * Puts the tenant into the period that wall_usec is in, its totals being as they are. True when
 * that is not what it was: *ret_ended is then the period that ended, or starts at 0. The present
 * one ends at the next reset when the tenant's day has changed. A clock that is set back behind a
 * period's start brings back the period before, with all that was used since.
 */
bool allowance_turn(struct tenant *tenant, int64_t wall_usec, struct allowance_period *ret_ended);

/* What was used in the present period, in and out; zero before the first. */
struct allowance_use {
	uint64_t in;
	uint64_t out;
};
struct allowance_use allowance_used(const struct tenant *tenant);

/*
 * How much of the allowance is used, in percent, rounded down; of two, the one that is used up
 * more, which *ret_limit (may be NULL) says. 0 without an allowance.
 */
unsigned allowance_percent(const struct tenant *tenant, enum limit_id *ret_limit);

/* The rate that its network is to be held at because of that, each way; LIMIT_UNSET: none. */
uint64_t allowance_rate(const struct tenant *tenant);

/* What an event tells of so much that is used: 100, 90, 80, or 0. */
unsigned allowance_level(unsigned percent);
