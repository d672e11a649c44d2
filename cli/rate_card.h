/*
 * A rate card: what a provider takes for what the ledger has, read from a file
 * (docs/USAGE-EXPORT.md) and strictly checked. Money is whole numbers of 10^-10 of the currency, in
 * 128 bits: never floating point, and rounded once, by rate_cost().
 */
#pragma once

#include "base/err.h"
#include "base/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_DIGITS	10
#define RATE_PLANS_MAX	256u
#define RATE_PRICES_MAX 128u /* of a plan */
#define RATE_TEXT_MAX	128u
#define RATE_METER_MAX	64u
#define RATE_MONEY_MAX	48 /* a 128-bit amount as text */

typedef unsigned __int128 rate_u128;

struct rate_price {
	char meter[RATE_METER_MAX];
	char unit[RATE_TEXT_MAX]; /* FOCUS' PricingUnit: what `per` of the meter's are */
	rate_u128 price;	  /* of `per`, in 10^-10 */
	uint64_t per;		  /* above 0 */
	rate_u128 included;	  /* in the meter's unit, for each tenant and month */
};

struct rate_plan {
	char name[NAME_SIZE];	   /* "*": each that has none of its own */
	rate_u128 minimum;	   /* of a tenant and month; 0: none */
	struct rate_price *prices; /* owned */
	size_t n_prices;
};

struct rate_card {
	char currency[4];
	unsigned digits; /* of an invoice's total */
	char provider[RATE_TEXT_MAX];
	char service[RATE_TEXT_MAX];
	struct rate_plan *plans; /* owned */
	size_t n_plans;
};

/* Reads a card's text. Returns 0 with *ret to be finished, or -errno with what is wrong and where.
 */
int rate_card_parse(const char *text, size_t size, struct rate_card *ret, struct err *err);
int rate_card_load(const char *path, struct rate_card *ret, struct err *err);
void rate_card_finish(struct rate_card *card);

/* The plan's prices, or those of "*"; NULL when the card has neither. */
const struct rate_plan *rate_card_plan(const struct rate_card *card, const char *plan);
/* The price of a meter; NULL when it is free. */
const struct rate_price *rate_plan_price(const struct rate_plan *plan, const char *meter);

/* What `quantity` costs, half of the last digit up. Returns 0 or -ERANGE. */
int rate_cost(const struct rate_price *price, rate_u128 quantity, rate_u128 *ret, struct err *err);
/* An amount rounded to the card's digits, half up. */
rate_u128 rate_round(const struct rate_card *card, rate_u128 amount);

/* Whole decimal digits. Returns 0 or -ERANGE. */
int rate_parse_whole(const char *text, rate_u128 *ret);
/* "12.5" as 10^-RATE_DIGITS; not more digits than that. Returns 0, -EINVAL or -ERANGE. */
int rate_parse_decimal(const char *text, rate_u128 *ret);
/* value / 10^digits, without needless zeros. Returns where it begins in out. */
const char *rate_format(
	rate_u128 value, unsigned digits, bool negative, char out[static RATE_MONEY_MAX]);
