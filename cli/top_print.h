/* croft top's lines, as wide as a terminal is. */
#pragma once

#include "cli/top_frame.h"

#define TOP_COLUMNS_MIN 80 /* narrower ones get lines that are cut */
#define TOP_COLUMNS_MAX 250
#define TOP_LINE_MAX	(TOP_COLUMNS_MAX + 1)

/* The heading. Returns out. */
const char *top_print_heading(unsigned columns, char out[static TOP_LINE_MAX]);
/* A row, never longer than columns. flat: names with their tenants. Returns out. */
const char *top_print_row(
	const struct top_row *row, unsigned columns, bool flat, char out[static TOP_LINE_MAX]);
