/*
 * What a bill is made of, for focus.c, which gathers it, focus_cost.c, which works it out, and
 * focus_print.c, which writes it in FOCUS' columns.
 */
#pragma once

#include "cli/focus.h"
#include "cli/focus_payer.h"
#include "proto/message.h"

#define FOCUS_METER_P95	 "net.p95"
#define FOCUS_REASON_MAX 320

/* A part of a row that is all included, or not at all: FOCUS wants each discount in rows of its
 * own ("Discount Handling"). */
struct focus_piece {
	rate_u128 quantity; /* of the meter's unit */
	rate_u128 priced;   /* of the price's unit, in 10^-RATE_DIGITS */
	rate_u128 list;	    /* priced, times the price, exactly: in 10^-(2 * RATE_DIGITS) */
	rate_u128 billed;   /* in 10^-RATE_DIGITS */
	bool included;
};

struct focus_row {
	/* In the order of a bill. */
	char tenant[NAME_SIZE];
	char tenant_uid[FOCUS_UID_MAX];
	char plan[NAME_SIZE];
	char meter[RATE_METER_MAX];
	char resource[FOCUS_TEXT_MAX];
	char uid[FOCUS_UID_MAX];
	char account[FOCUS_TEXT_MAX];
	char correction[64]; /* the record_id of a correction of a month that was over, or "" */
	char reason[FOCUS_REASON_MAX];
	unsigned n_corrected; /* corrections in it, by operators while the month went on */
	bool negative;	      /* all of it is to be taken off */
	char unit[32];
	const struct rate_plan *rates;
	const struct rate_price *price;
	rate_u128 quantity;
	rate_u128 taken_off; /* by corrections while the month went on */
	struct focus_piece pieces[2];
	unsigned n_pieces;
};

struct focus {
	const struct rate_card *card;
	int64_t start;
	int64_t end;
	bool has_bursts; /* a percentile has a price */
	char from[MESSAGE_TIME_MAX];
	char to[MESSAGE_TIME_MAX];
	void *tree; /* of rows, which it owns */
	struct focus_row **rows;
	size_t n_rows;
	struct payers payers;
	struct payer **list; /* owned: the same in their order */
};

/* a + b, or a - b. Returns 0 or -ERANGE. */
int focus_add_signed(rate_u128 *sum, rate_u128 amount, bool negative);
rate_u128 focus_apart(rate_u128 a, rate_u128 b);
/* The pieces of the rows of a tenant's month under a plan and of one meter. Returns 0 or -errno. */
int focus_work_out(struct focus_row **rows, size_t n, struct err *err);
/* The heading and all rows. Returns 0 or -errno. */
int focus_print_bill(const struct focus *focus, FILE *out, struct err *err);
