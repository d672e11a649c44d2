/* Exact arithmetic of a rate card; see rate_card.h. Must never use floating point, nor wrap. */
#include "cli/rate_card.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static rate_u128 power_of_ten(unsigned n)
{
	rate_u128 value = 1;

	while (n--)
		value *= 10;
	return value;
}

static int add_digit(rate_u128 *value, char digit)
{
	return __builtin_mul_overflow(*value, (rate_u128)10, value) ||
			       __builtin_add_overflow(*value, (rate_u128)(digit - '0'), value)
		       ? -ERANGE
		       : 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int rate_parse_whole(const char *text, rate_u128 *ret)
{
	rate_u128 value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (!is_digit(*text))
			return -EINVAL;
		if (add_digit(&value, *text) < 0)
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

int rate_parse_decimal(const char *text, rate_u128 *ret)
{
	rate_u128 value = 0;
	unsigned decimals = 0;

	if (!is_digit(*text))
		return -EINVAL;
	for (; is_digit(*text); text++)
		if (add_digit(&value, *text) < 0)
			return -ERANGE;
	if (*text == '.') {
		if (!is_digit(*++text))
			return -EINVAL;
		for (; is_digit(*text); text++, decimals++)
			if (add_digit(&value, *text) < 0)
				return -ERANGE;
	}
	if (*text)
		return -EINVAL;
	if (decimals > RATE_DIGITS ||
		__builtin_mul_overflow(value, power_of_ten(RATE_DIGITS - decimals), &value))
		return -ERANGE;
	*ret = value;
	return 0;
}

const char *rate_format(
	rate_u128 value, unsigned digits, bool negative, char out[static RATE_MONEY_MAX])
{
	char *p = out + RATE_MONEY_MAX - 1;
	unsigned n = 0;

	*p = '\0';
	for (; value || n <= digits; n++, value /= 10) {
		char digit = (char)('0' + (unsigned)(value % 10));

		if (n == digits && *p)
			*--p = '.';
		if (n >= digits || *p || digit != '0')
			*--p = digit;
	}
	if (negative)
		*--p = '-';
	return p;
}

static int too_large(struct err *err)
{
	return err_set(err, ERR_OUT_OF_RANGE, "AMOUNT_TOO_LARGE",
		"an amount is too large; choose a larger \"per\" in the rate card");
}

int rate_cost(const struct rate_price *price, rate_u128 quantity, rate_u128 *ret, struct err *err)
{
	rate_u128 product;

	if (__builtin_mul_overflow(quantity, price->price, &product) ||
		__builtin_add_overflow(product, (rate_u128)(price->per / 2), &product)) {
		too_large(err);
		return -ERANGE;
	}
	/* Half of an odd divisor is rounded down: then the half itself cannot occur. */
	*ret = product / price->per;
	return 0;
}

rate_u128 rate_round(const struct rate_card *card, rate_u128 amount)
{
	rate_u128 unit = power_of_ten(RATE_DIGITS - card->digits);

	return (amount / unit + (amount % unit >= (unit + 1) / 2 && unit > 1)) * unit;
}
