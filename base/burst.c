/*
 * The 95th percentile of a period's traffic; see burst.h. Whole numbers, exact: never an estimate
 * from percentiles of parts.
 */
#include "base/burst.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DROPPED_OF 20 /* one in so many */

struct burst_of_hour {
	int64_t hour;
	struct burst_hour of;
};

const char *burst_format(const struct burst_hour *hour, char out[static BURST_TEXT_MAX])
{
	size_t n = 0;

	for (size_t slot = 0; slot < BURST_SLOTS; slot++)
		n += (size_t)snprintf(out + n, BURST_TEXT_MAX - n, "%s%" PRIu64 "/%" PRIu64,
			slot ? " " : "", hour->bytes[BURST_IN][slot], hour->bytes[BURST_OUT][slot]);
	return out;
}

/* A number and what must follow it. Returns what is behind both, NULL where they are not there. */
static const char *take_number(const char *text, char behind, uint64_t *ret)
{
	uint64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return NULL;
	if (p == text || *p != behind)
		return NULL;
	*ret = value;
	return p + 1;
}

int burst_parse(const char *text, struct burst_hour *ret)
{
	struct burst_hour hour;

	for (size_t slot = 0; slot < BURST_SLOTS; slot++) {
		text = take_number(text, '/', &hour.bytes[BURST_IN][slot]);
		if (text)
			text = take_number(text, slot + 1 < BURST_SLOTS ? ' ' : '\0',
				&hour.bytes[BURST_OUT][slot]);
		if (!text)
			return -EINVAL;
	}
	*ret = hour;
	return 0;
}

static bool is_empty(const struct burst_hour *hour)
{
	for (size_t slot = 0; slot < BURST_SLOTS; slot++)
		if (hour->bytes[BURST_IN][slot] || hour->bytes[BURST_OUT][slot])
			return false;
	return true;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t bits_a_second(uint64_t bytes)
{
	return (uint64_t)((unsigned __int128)bytes * 8 * 1000000 / BURST_SLOT_USEC);
}

uint64_t burst_highest(const struct burst_hour *hour)
{
	uint64_t bytes = 0;

	for (size_t slot = 0; slot < BURST_SLOTS; slot++)
		bytes = greater(
			bytes, greater(hour->bytes[BURST_IN][slot], hour->bytes[BURST_OUT][slot]));
	return bits_a_second(bytes);
}

/* The place of the first that is not before that hour. They mostly come in order. */
static size_t place_of(const struct burst_sum *sum, int64_t hour)
{
	size_t low = 0;
	size_t high = sum->n;

	if (sum->n && sum->hours[sum->n - 1].hour < hour)
		return sum->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sum->hours[middle].hour < hour)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct burst_sum *sum, size_t at, int64_t hour)
{
	if (sum->n == sum->room) {
		size_t room = sum->room ? 2 * sum->room : 32;
		struct burst_of_hour *more = reallocarray(sum->hours, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		sum->hours = more;
		sum->room = room;
	}
	memmove(sum->hours + at + 1, sum->hours + at, (sum->n - at) * sizeof(*sum->hours));
	sum->hours[at] = (struct burst_of_hour){.hour = hour};
	sum->n++;
	return 0;
}

int burst_add(struct burst_sum *sum, int64_t hour, const struct burst_hour *bytes)
{
	size_t at = place_of(sum, hour);
	int r = 0;

	/* Most containers are idle for most of their time. */
	if (is_empty(bytes))
		return 0;
	if (at == sum->n || sum->hours[at].hour != hour)
		r = make_room(sum, at, hour);
	for (size_t way = 0; r == 0 && way < BURST_WAYS; way++)
		for (size_t slot = 0; slot < BURST_SLOTS; slot++) {
			uint64_t *to = &sum->hours[at].of.bytes[way][slot];

			if (__builtin_add_overflow(*to, bytes->bytes[way][slot], to))
				*to = UINT64_MAX;
		}
	return r;
}

static uint64_t count_above(const struct burst_sum *sum, enum burst_way way, uint64_t bytes)
{
	uint64_t n = 0;

	for (size_t i = 0; i < sum->n; i++)
		for (size_t slot = 0; slot < BURST_SLOTS; slot++)
			n += sum->hours[i].of.bytes[way][slot] > bytes;
	return n;
}

/* The least that not more than `dropped` are above: without sorting, so that nothing can fail. */
static uint64_t rank(const struct burst_sum *sum, enum burst_way way, uint64_t dropped)
{
	uint64_t low = 0;
	uint64_t high = 0;

	for (size_t i = 0; i < sum->n; i++)
		for (size_t slot = 0; slot < BURST_SLOTS; slot++)
			high = greater(high, sum->hours[i].of.bytes[way][slot]);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (count_above(sum, way, middle) <= dropped)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint64_t burst_p95(const struct burst_sum *sum, int64_t from_usec, int64_t to_usec)
{
	uint64_t slots = 0;

	if (to_usec > from_usec)
		slots = ((uint64_t)to_usec - (uint64_t)from_usec + BURST_SLOT_USEC - 1) /
			BURST_SLOT_USEC;
	return bits_a_second(greater(
		rank(sum, BURST_IN, slots / DROPPED_OF), rank(sum, BURST_OUT, slots / DROPPED_OF)));
}

void burst_finish(struct burst_sum *sum)
{
	free(sum->hours);
	*sum = (struct burst_sum){.n = 0};
}
