/*
 * Prometheus' text format; see metrics_text.h. Source: "Exposition formats" of Prometheus'
 * documentation, text-based format 0.0.4; the OpenMetrics specification, version 1.0.0.
 */
#include "server/metrics_text.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST    65536
#define NUMBER_MAX    32
#define LABEL_ESCAPES "\\\"\n"

void metrics_text_finish(struct metrics_text *text)
{
	free(text->data);
	*text = (struct metrics_text){0};
}

/* Room for so many bytes behind what is there; NULL when there is none. */
static char *extend(struct metrics_text *text, size_t n)
{
	size_t room = text->room ? text->room : ROOM_FIRST;
	char *data;

	if (text->failed)
		return NULL;
	while (room - text->size < n)
		room *= 2;
	if (room != text->room) {
		data = realloc(text->data, room);
		if (!data) {
			text->failed = true;
			return NULL;
		}
		text->data = data;
		text->room = room;
	}
	return text->data + text->size;
}

static void add(struct metrics_text *text, const char *data, size_t n)
{
	char *at = extend(text, n);

	if (!at)
		return;
	memcpy(at, data, n);
	text->size += n;
}

void metrics_text_add(struct metrics_text *text, const char *literal)
{
	add(text, literal, strlen(literal));
}

/* escapes: those of '\\', '"' and '\n' that cannot stand for themselves. */
static void add_escaped(struct metrics_text *text, const char *value, const char *escapes)
{
	for (;;) {
		size_t n = strcspn(value, escapes);

		add(text, value, n);
		value += n;
		if (!*value)
			return;
		add(text, *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : "\\\\", 2);
		value++;
	}
}

void metrics_text_family(
	struct metrics_text *text, const char *name, const char *type, const char *help)
{
	size_t len = strlen(name);

	/* There the family is called without what its samples end in. */
	if (text->open && !strcmp(type, "counter"))
		len -= strlen("_total");
	metrics_text_add(text, "# HELP ");
	add(text, name, len);
	metrics_text_add(text, " ");
	add_escaped(text, help, text->open ? LABEL_ESCAPES : "\\\n");
	metrics_text_add(text, "\n# TYPE ");
	add(text, name, len);
	metrics_text_add(text, " ");
	metrics_text_add(text, type);
	metrics_text_add(text, "\n");
}

void metrics_text_end(struct metrics_text *text)
{
	if (text->open)
		metrics_text_add(text, "# EOF\n");
}

void metrics_text_label(struct metrics_text *text, bool first, const char *name, const char *value)
{
	if (!first)
		metrics_text_add(text, ",");
	metrics_text_add(text, name);
	metrics_text_add(text, "=\"");
	add_escaped(text, value, LABEL_ESCAPES);
	metrics_text_add(text, "\"");
}

/* Digits from the back; places of them behind the point. */
static char *write_digits(char *end, uint64_t value, unsigned places)
{
	for (unsigned i = 0; value || i <= places; i++) {
		if (places && i == places)
			*--end = '.';
		*--end = (char)('0' + value % 10);
		value /= 10;
	}
	return end;
}

void metrics_text_number(struct metrics_text *text, uint64_t value, enum metrics_scale scale)
{
	static const unsigned places[] = {
		[METRICS_WHOLE] = 0, [METRICS_USEC] = 6, [METRICS_MILLI] = 3, [METRICS_MYRIAD] = 4};
	char digits[NUMBER_MAX];
	char *end = digits + sizeof(digits);
	char *start = write_digits(end, value, places[scale]);

	add(text, start, (size_t)(end - start));
}

static void begin_sample(struct metrics_text *text, const char *name, const char *suffix,
	const char *labels, const char *last_label)
{
	metrics_text_add(text, name);
	metrics_text_add(text, suffix);
	if (*labels || *last_label) {
		metrics_text_add(text, "{");
		metrics_text_add(text, labels);
		if (*labels && *last_label)
			metrics_text_add(text, ",");
		metrics_text_add(text, last_label);
		metrics_text_add(text, "}");
	}
	metrics_text_add(text, " ");
}

static void end_sample(struct metrics_text *text, uint64_t value, enum metrics_scale scale)
{
	metrics_text_number(text, value, scale);
	metrics_text_add(text, "\n");
}

void metrics_text_sample(struct metrics_text *text, const char *name, const char *labels,
	uint64_t value, enum metrics_scale scale)
{
	metrics_text_labelled(text, name, labels, "", value, scale);
}

void metrics_text_labelled(struct metrics_text *text, const char *name, const char *labels,
	const char *last_label, uint64_t value, enum metrics_scale scale)
{
	begin_sample(text, name, "", labels, last_label);
	end_sample(text, value, scale);
}

void metrics_text_single(struct metrics_text *text, const char *name, const char *type,
	const char *help, uint64_t value, enum metrics_scale scale)
{
	metrics_text_family(text, name, type, help);
	metrics_text_sample(text, name, "", value, scale);
}

/*
 * le="0.0025": without zeros at the end, as client libraries write it. OpenMetrics wants numbers
 * with a point.
 */
static void format_bound(uint32_t usec, bool open, char out[static NUMBER_MAX + 8])
{
	char digits[NUMBER_MAX];
	char *end = digits + sizeof(digits);
	char *start = write_digits(end, usec, 6);
	size_t n;

	while (end[-1] == '0')
		end--;
	if (end[-1] == '.')
		end += open ? 1 : -1;
	n = (size_t)(end - start);
	memcpy(out, "le=\"", 4);
	memcpy(out + 4, start, n);
	memcpy(out + 4 + n, "\"", 2);
}

void metrics_text_histogram(struct metrics_text *text, const char *name, const char *labels,
	const struct histogram *histogram)
{
	char bound[NUMBER_MAX + 8];
	uint64_t below = 0;

	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		below += histogram->counts[i];
		format_bound(histogram_bounds_usec[i], text->open, bound);
		begin_sample(text, name, "_bucket", labels, bound);
		end_sample(text, below, METRICS_WHOLE);
	}
	begin_sample(text, name, "_bucket", labels, "le=\"+Inf\"");
	end_sample(text, histogram_count(histogram), METRICS_WHOLE);
	begin_sample(text, name, "_sum", labels, "");
	end_sample(text, histogram->sum_usec, METRICS_USEC);
	begin_sample(text, name, "_count", labels, "");
	end_sample(text, histogram_count(histogram), METRICS_WHOLE);
}
