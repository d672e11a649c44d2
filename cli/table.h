/* Tables for people, laid out by libsmartcols. Their form may change; programs use JSON or CSV. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

enum table_colour {
	TABLE_PLAIN,
	TABLE_GREEN,
	TABLE_YELLOW,
	TABLE_RED,
	TABLE_CYAN,
	TABLE_FAINT,
	TABLE_BOLD,
};

/*
 * Makes a table that will be printed to `out`; colours are shown only when that is a terminal and
 * NO_COLOR is unset or empty (no-color.org). Returns 0 or -ENOMEM.
 */
int table_create(FILE *out, struct table **ret, struct err *err);
void table_destroy(struct table *table);

/* Adds a column; heading NULL: the table shows none. Returns 0 or -ENOMEM. */
int table_add_column(struct table *table, const char *heading, bool right, struct err *err);

/* Starts a row; table_set() fills its cells. Returns 0 or -ENOMEM. */
int table_add_row(struct table *table, struct err *err);
/* Sets a cell of the last row; the text is copied. Returns 0 or -ENOMEM. */
int table_set(struct table *table, size_t column, const char *text, enum table_colour colour,
	struct err *err);

/* Prints it. Returns 0 or -errno. */
int table_print(struct table *table, struct err *err);

static inline void cleanup_table(struct table **table)
{
	table_destroy(*table);
}

#define _cleanup_table_ __attribute__((cleanup(cleanup_table)))
