/*
 * A sliding window: how much of something happened within the last so many seconds. In sixteen
 * buckets, and of the one that is leaving the part that has not left yet: what goes on evenly has
 * the same sum at any moment.
 */
#pragma once

#include <stdint.h>

#define ABUSE_BUCKETS 16u

struct abuse_window {
	uint64_t bucket_usec; /* a sixteenth of the window */
	uint64_t newest;      /* the number of the newest bucket: time / bucket_usec */
	uint64_t sums[ABUSE_BUCKETS + 1];
};

void abuse_window_init(struct abuse_window *window, uint64_t window_usec);

/* So much happened between two moments of CLOCK_BOOTTIME: evenly, as far as anybody knows. */
void abuse_window_add(
	struct abuse_window *window, uint64_t from_usec, uint64_t to_usec, uint64_t amount);

/* What lies within the window that ends now. */
uint64_t abuse_window_sum(struct abuse_window *window, uint64_t now_usec);
