/* Spans of time as text; see span.h. */
#include "base/span.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 10 /* so many days of seconds are a number of 64 bits */

/* Largest first. */
static const struct {
	char letter;
	int64_t seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

int span_parse(const char *text, int64_t max_s, int64_t *ret_s)
{
	size_t digits = strspn(text, "0123456789");
	int64_t seconds;

	if (digits < 1 || digits > DIGITS_MAX || !text[digits] || text[digits + 1])
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (text[digits] != units[i].letter)
			continue;
		seconds = strtoll(text, NULL, 10) * units[i].seconds;
		if (seconds > max_s)
			return -EINVAL;
		*ret_s = seconds;
		return 0;
	}
	return -EINVAL;
}

const char *span_write(int64_t seconds, char out[static SPAN_TEXT_SIZE])
{
	size_t i = 0;

	while (units[i].seconds > 1 && (!seconds || seconds % units[i].seconds))
		i++;
	snprintf(out, SPAN_TEXT_SIZE, "%" PRId64 "%c", seconds / units[i].seconds, units[i].letter);
	return out;
}

const char *span_write_schedule(
	int64_t every_s, uint32_t keep, int64_t expire_s, char out[static SPAN_SCHEDULE_SIZE])
{
	char every[SPAN_TEXT_SIZE];
	char expire[SPAN_TEXT_SIZE];

	out[0] = '\0';
	if (every_s)
		snprintf(out, SPAN_SCHEDULE_SIZE, "every %s, %" PRIu32 " kept%s%s",
			span_write(every_s, every), keep, expire_s ? " for " : "",
			expire_s ? span_write(expire_s, expire) : "");
	return out;
}
