/*
 * What rows cost. Each is the difference that it makes to its tenant's month, so they add up to
 * what the whole costs, rounded once. Must never use floating point, nor wrap.
 */
#include "cli/focus_row.h"

#include <errno.h>

int focus_add_signed(rate_u128 *sum, rate_u128 amount, bool negative)
{
	if (negative ? __builtin_sub_overflow(*sum, amount, sum)
		     : __builtin_add_overflow(*sum, amount, sum))
		return -ERANGE;
	return 0;
}

rate_u128 focus_apart(rate_u128 a, rate_u128 b)
{
	return a > b ? a - b : b - a;
}

static int out_of_range(const struct focus_row *row, bool small, struct err *err)
{
	return err_set(err, ERR_OUT_OF_RANGE, "AMOUNT_TOO_LARGE",
		"a month's sum of %.60s is too %s", row->meter, small ? "small" : "large");
}

/* Of all until `used`: in the price's unit, rounded as a cost of 1 each is; and to be paid. */
static int sums_at(const struct rate_price *price, rate_u128 used, rate_u128 *ret_priced,
	rate_u128 *ret_billed, struct err *err)
{
	struct rate_price one = {.price = 1, .per = price->per};
	int r;

	for (unsigned i = 0; i < RATE_DIGITS; i++)
		one.price *= 10;
	r = rate_cost(&one, used, ret_priced, err);
	return r < 0 ? r
		     : rate_cost(price, used > price->included ? used - price->included : 0,
			       ret_billed, err);
}

static int add_piece(struct focus_row *row, rate_u128 from, rate_u128 to, struct err *err)
{
	const struct rate_price *price = row->price;
	struct focus_piece *piece = &row->pieces[row->n_pieces++];
	rate_u128 priced[2];
	rate_u128 billed[2];
	int r = sums_at(price, from, &priced[0], &billed[0], err);

	if (r == 0)
		r = sums_at(price, to, &priced[1], &billed[1], err);
	if (r < 0)
		return r;
	piece->quantity = focus_apart(from, to);
	piece->priced = focus_apart(priced[0], priced[1]);
	piece->billed = focus_apart(billed[0], billed[1]);
	piece->included = price->included && from <= price->included && to <= price->included;
	return __builtin_mul_overflow(piece->priced, price->price, &piece->list)
		       ? out_of_range(row, false, err)
		       : 0;
}

int focus_work_out(struct focus_row **rows, size_t n, struct err *err)
{
	rate_u128 included = rows[0]->price->included;
	rate_u128 used = 0;

	for (size_t i = 0; i < n; i++) {
		struct focus_row *row = rows[i];
		rate_u128 next = used;
		rate_u128 quantity = row->quantity;
		int r = 0;

		if (focus_add_signed(&quantity, row->taken_off, true) < 0 ||
			focus_add_signed(&next, quantity, row->negative) < 0)
			return out_of_range(row, row->negative || row->taken_off, err);
		row->n_pieces = 0;
		/* Either way: a correction of a month that was over may take off. */
		if ((used < included && included < next) || (next < included && included < used)) {
			r = add_piece(row, used, included, err);
			used = included;
		}
		if (r == 0)
			r = add_piece(row, used, next, err);
		if (r < 0)
			return r;
		used = next;
	}
	return 0;
}
