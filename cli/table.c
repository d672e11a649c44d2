/*
 * libsmartcols behind table.h. Control characters in cells come out escaped, so that a name or
 * reason from elsewhere cannot drive the terminal.
 */
#include "cli/table.h"

#include "base/cleanup.h"

#include <libsmartcols/libsmartcols.h>
#include <locale.h>

struct table {
	struct libscols_table *cols;
	struct libscols_line *row;
};

static const char *const escapes[] = {
	[TABLE_GREEN] = "\033[32m",
	[TABLE_YELLOW] = "\033[33m",
	[TABLE_RED] = "\033[31m",
	[TABLE_CYAN] = "\033[36m",
	[TABLE_FAINT] = "\033[2m",
	[TABLE_BOLD] = "\033[1m",
};

static bool wants_colour(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fileno(out)) && !(no_color && *no_color);
}

int table_create(FILE *out, struct table **ret, struct err *err)
{
	struct table *table = calloc(1, sizeof(*table));

	/* For the width of what is not ASCII; nothing but the character type is taken over. */
	setlocale(LC_CTYPE, "");
	if (table)
		table->cols = scols_new_table();
	if (!table || !table->cols) {
		table_destroy(table);
		return err_oom(err);
	}
	scols_table_set_stream(table->cols, out);
	scols_table_enable_noheadings(table->cols, 1);
	scols_table_enable_nowrap(table->cols, 1);
	scols_table_enable_colors(table->cols, wants_colour(out));
	*ret = table;
	return 0;
}

void table_destroy(struct table *table)
{
	if (!table)
		return;
	scols_unref_table(table->cols);
	free(table);
}

int table_add_column(struct table *table, const char *heading, bool right, struct err *err)
{
	if (heading)
		scols_table_enable_noheadings(table->cols, 0);
	if (!scols_table_new_column(
		    table->cols, heading ? heading : "", 0, right ? SCOLS_FL_RIGHT : 0))
		return err_oom(err);
	return 0;
}

int table_add_row(struct table *table, struct err *err)
{
	table->row = scols_table_new_line(table->cols, NULL);
	return table->row ? 0 : err_oom(err);
}

int table_set(struct table *table, size_t column, const char *text, enum table_colour colour,
	struct err *err)
{
	struct libscols_cell *cell;

	if (scols_line_set_data(table->row, column, text))
		return err_oom(err);
	if (colour == TABLE_PLAIN)
		return 0;
	cell = scols_line_get_cell(table->row, column);
	return cell && !scols_cell_set_color(cell, escapes[colour]) ? 0 : err_oom(err);
}

int table_print(struct table *table, struct err *err)
{
	if (scols_print_table(table->cols))
		return err_oom(err);
	return 0;
}
