/*
 * Laying out croft top's lines; see top_print.h. Every column has its width whatever is in it, so
 * that lines stay under each other; the name takes what is left. Nothing but printable ASCII.
 */
#include "cli/top_print.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "cli/short_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CELL_MAX SHORT_TEXT_MAX
/* From here on both shares of a pressure fit: some/full. */
#define WIDE_COLUMNS 100

static const char *cpu_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	(void)wide;
	return short_share(row->usage->cpu_milli, out);
}

static const char *throttled_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	(void)wide;
	return short_share(row->usage->throttled_milli, out);
}

static const char *memory_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	(void)wide;
	return short_size(row->usage->memory_bytes, out);
}

/* What it is held by: its own limit, or its tenant's. */
static uint64_t limit_of(const struct top_row *row, enum limit_id id)
{
	const Croft__V1__LiveUsage *from[] = {row->usage, row->tenant};

	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		const Croft__V1__Limits *limits = from[i] ? from[i]->limits : NULL;
		uint64_t limit = 0;

		if (limits)
			limit = id == LIMIT_MEMORY ? limits->memory_bytes : limits->pids;
		if (limit)
			return limit;
	}
	return 0;
}

static const char *memory_share_cell(
	const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	uint64_t limit = limit_of(row, LIMIT_MEMORY);

	(void)wide;
	if (!limit)
		return "-";
	return short_share(
		(uint64_t)((unsigned __int128)row->usage->memory_bytes * 1000 / limit), out);
}

static const char *pids_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	uint64_t limit = limit_of(row, LIMIT_PIDS);
	char now[CELL_MAX];
	char most[CELL_MAX];

	(void)wide;
	snprintf(out, CELL_MAX, "%.10s/%.10s", short_count(row->usage->pids, now),
		limit ? short_count(limit, most) : "-");
	return out;
}

static const char *in_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	(void)wide;
	return short_size(row->usage->net_in_bytes, out);
}

static const char *out_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	(void)wide;
	return short_size(row->usage->net_out_bytes, out);
}

static const char *read_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	(void)wide;
	return short_size(row->usage->io_read_bytes, out);
}

static const char *write_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	(void)wide;
	return short_size(row->usage->io_write_bytes, out);
}

static const char *pressure_text(
	const Croft__V1__Pressure *pressure, bool wide, char out[static CELL_MAX])
{
	if (!pressure)
		return "-";
	snprintf(out, CELL_MAX, "%u", (pressure->some_permyriad + 50) / 100 % 1000);
	if (wide)
		snprintf(out + strlen(out), CELL_MAX - strlen(out), "/%u",
			(pressure->full_permyriad + 50) / 100 % 1000);
	return out;
}

static const char *cpu_pressure_cell(
	const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	return pressure_text(row->usage->cpu_pressure, wide, out);
}

static const char *memory_pressure_cell(
	const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	return pressure_text(row->usage->memory_pressure, wide, out);
}

static const char *io_pressure_cell(const struct top_row *row, bool wide, char out[static CELL_MAX])
{
	return pressure_text(row->usage->io_pressure, wide, out);
}

/* With a space before each, 63 of 80 columns: 17 are the name's. */
static const struct cell {
	const char *heading;
	unsigned width;
	unsigned wide_width;
	const char *(*text)(const struct top_row *row, bool wide, char out[static CELL_MAX]);
} cells[] = {
	{"CPU", 5, 6, cpu_cell},
	{"HELD", 4, 5, throttled_cell},
	{"MEM", 4, 5, memory_cell},
	{"OF", 4, 4, memory_share_cell},
	{"PIDS", 9, 11, pids_cell},
	{"IN", 4, 5, in_cell},
	{"OUT", 4, 5, out_cell},
	{"READ", 4, 5, read_cell},
	{"WRIT", 4, 5, write_cell},
	{"WC", 3, 7, cpu_pressure_cell},
	{"WM", 3, 7, memory_pressure_cell},
	{"WI", 3, 7, io_pressure_cell},
};

static unsigned name_width(unsigned columns, bool wide)
{
	unsigned used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		used += 1 + (wide ? cells[i].wide_width : cells[i].width);
	return columns > used ? columns - used : 1;
}

static unsigned bounded(unsigned columns)
{
	if (columns < TOP_COLUMNS_MIN)
		return TOP_COLUMNS_MIN;
	return columns > TOP_COLUMNS_MAX ? TOP_COLUMNS_MAX : columns;
}

struct line {
	char *text;
	size_t size;
};

static void put(struct line *line, const char *text, unsigned width, bool right)
{
	char cell[TOP_LINE_MAX];

	snprintf(cell, sizeof(cell), right ? "%*.*s" : "%-*.*s", (int)width, (int)width, text);
	for (char *p = cell; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	memcpy(line->text + line->size, cell, strlen(cell) + 1);
	line->size += strlen(cell);
}

/* Without what would only be spaces, and as narrow as the terminal is. */
static const char *end_line(struct line *line, unsigned columns)
{
	if (line->size > columns)
		line->size = columns;
	while (line->size && line->text[line->size - 1] == ' ')
		line->size--;
	line->text[line->size] = '\0';
	return line->text;
}

const char *top_print_heading(unsigned columns, char out[static TOP_LINE_MAX])
{
	unsigned wanted = bounded(columns);
	bool wide = wanted >= WIDE_COLUMNS;
	struct line line = {.text = out};

	put(&line, "NAME", name_width(wanted, wide), false);
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		put(&line, "", 1, false);
		put(&line, cells[i].heading, wide ? cells[i].wide_width : cells[i].width, true);
	}
	return end_line(&line, columns);
}

/* Of a long name the end is left out, not what is said behind it. */
static void put_name(struct line *line, const struct top_row *row, bool flat, unsigned width)
{
	const char *own = row->is_container && !flat ? strchr(row->name, '/') : NULL;
	const char *state = row->usage->frozen ? " (frozen)" : "";
	size_t room = width > strlen(state) ? width - strlen(state) : width;
	char name[TOP_LINE_MAX];
	char cell[2 * TOP_LINE_MAX];

	snprintf(name, sizeof(name), "%s%s", own ? "  " : "", own ? own + 1 : row->name);
	if (strlen(name) > room)
		name[room - 1] = '~';
	snprintf(cell, sizeof(cell), "%.*s%s", (int)room, name, state);
	put(line, cell, width, false);
}

const char *top_print_row(
	const struct top_row *row, unsigned columns, bool flat, char out[static TOP_LINE_MAX])
{
	unsigned wanted = bounded(columns);
	bool wide = wanted >= WIDE_COLUMNS;
	struct line line = {.text = out};

	put_name(&line, row, flat, name_width(wanted, wide));
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		char cell[CELL_MAX];

		put(&line, "", 1, false);
		put(&line, cells[i].text(row, wide, cell),
			wide ? cells[i].wide_width : cells[i].width, true);
	}
	return end_line(&line, columns);
}
