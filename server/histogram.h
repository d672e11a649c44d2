/* How long things took: counts below fixed bounds, as Prometheus' histograms have them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 16

/* The upper bounds, in microseconds, rising: from 100 us to 10 s. */
extern const uint32_t histogram_bounds_usec[HISTOGRAM_BOUNDS];

/* All zero is an empty one. */
struct histogram {
	uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* not above each bound, and above the last; not
						  cumulative */
	uint64_t sum_usec;
};

void histogram_add(struct histogram *histogram, uint64_t usec);
/* How many were added. */
uint64_t histogram_count(const struct histogram *histogram);
