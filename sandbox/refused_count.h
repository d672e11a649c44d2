/*
 * How many tell-tale calls of one run were refused: a small file that croft-refuser writes, and
 * croftd and the supervisor read. There is none for a run whose policy does not tell.
 */
#pragma once

#include <stdint.h>

/* The file's whole content. */
struct refused_count {
	uint64_t calls;
	uint64_t set; /* which ones: bits of enum telltale */
};
