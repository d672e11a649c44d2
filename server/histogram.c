/* Counting how long things took; see histogram.h. No input or output. */
#include "server/histogram.h"

const uint32_t histogram_bounds_usec[HISTOGRAM_BOUNDS] = {100, 250, 500, 1000, 2500, 5000, 10000,
	25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void histogram_add(struct histogram *histogram, uint64_t usec)
{
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && usec > histogram_bounds_usec[i])
		i++;
	histogram->counts[i]++;
	histogram->sum_usec += usec;
}

uint64_t histogram_count(const struct histogram *histogram)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
		n += histogram->counts[i];
	return n;
}
