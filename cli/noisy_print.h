/* croft noisy's lines, as wide as a terminal is: a victim, and below it who held it up. */
#pragma once

#include "croft/v1/usage.pb-c.h"

#include <stdbool.h>

#define NOISY_COLUMNS_MIN 80
#define NOISY_COLUMNS_MAX 250
#define NOISY_LINE_MAX	  (NOISY_COLUMNS_MAX + 1)

/* The heading. Returns out. */
const char *noisy_print_heading(unsigned columns, char out[static NOISY_LINE_MAX]);
const char *noisy_print_victim(
	const Croft__V1__NoisyNeighbour *row, unsigned columns, char out[static NOISY_LINE_MAX]);
const char *noisy_print_culprit(
	const Croft__V1__NoisyNeighbour *row, unsigned columns, char out[static NOISY_LINE_MAX]);
/* Whether both are of one victim that waits for one thing. */
bool noisy_same_victim(const Croft__V1__NoisyNeighbour *a, const Croft__V1__NoisyNeighbour *b);
