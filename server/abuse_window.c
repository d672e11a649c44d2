/* The arithmetic of sliding windows; see abuse_window.h. */
#include "server/abuse_window.h"

#include <string.h>

#define SLOTS (ABUSE_BUCKETS + 1)

void abuse_window_init(struct abuse_window *w, uint64_t window_usec)
{
	memset(w, 0, sizeof(*w));
	w->bucket_usec = window_usec / ABUSE_BUCKETS ? window_usec / ABUSE_BUCKETS : 1;
}

/* Time has come to a bucket: those between are empty. */
static void advance(struct abuse_window *w, uint64_t bucket)
{
	uint64_t steps = bucket > w->newest ? bucket - w->newest : 0;

	if (steps >= SLOTS)
		memset(w->sums, 0, sizeof(w->sums));
	else
		for (uint64_t i = 1; i <= steps; i++)
			w->sums[(w->newest + i) % SLOTS] = 0;
	w->newest += steps;
}

/* How much of the amount there was by then. */
static uint64_t part(uint64_t from, uint64_t to, uint64_t amount, uint64_t until)
{
	if (until >= to)
		return amount;
	return (uint64_t)((unsigned __int128)amount * (until - from) / (to - from));
}

void abuse_window_add(struct abuse_window *w, uint64_t from, uint64_t to, uint64_t amount)
{
	uint64_t last = to / w->bucket_usec;
	uint64_t first;
	uint64_t oldest;
	uint64_t begin;

	if (from > to)
		from = to;
	advance(w, last);
	oldest = w->newest > ABUSE_BUCKETS ? w->newest - ABUSE_BUCKETS : 0;
	if (last < oldest)
		return;
	first = from / w->bucket_usec;
	begin = from;
	if (first < oldest) {
		first = oldest;
		begin = oldest * w->bucket_usec;
	}
	for (uint64_t bucket = first; bucket <= last; bucket++) {
		uint64_t end = (bucket + 1) * w->bucket_usec;

		w->sums[bucket % SLOTS] += part(from, to, amount, end) -
					   (begin > from ? part(from, to, amount, begin) : 0);
		begin = end;
	}
}

uint64_t abuse_window_sum(struct abuse_window *w, uint64_t now)
{
	uint64_t bucket = now / w->bucket_usec;
	uint64_t sum = 0;
	uint64_t left;

	advance(w, bucket);
	for (uint64_t i = 0; i < ABUSE_BUCKETS && i <= w->newest; i++)
		sum += w->sums[(w->newest - i) % SLOTS];
	if (w->newest < ABUSE_BUCKETS)
		return sum;
	/* Of the oldest the part that the window still reaches. */
	left = w->bucket_usec - now % w->bucket_usec;
	return sum + (uint64_t)((unsigned __int128)w->sums[(w->newest - ABUSE_BUCKETS) % SLOTS] *
				left / w->bucket_usec);
}
