/*
 * Writing Prometheus' text format, version 0.0.4, and OpenMetrics 1.0, which differ in a family's
 * head, in whole bounds of histograms, and at the end: families with their help and type, samples
 * with labels. Figures are whole numbers of small units and printed as such, never through a
 * double: a counter must not fall by a rounding.
 */
#pragma once

#include "server/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is an empty text. Out of memory is remembered, and the rest left out. */
struct metrics_text {
	char *data; /* owned; without a terminator */
	size_t size;
	size_t room;
	bool failed;
	bool open; /* OpenMetrics */
};

/* What a figure counts, and with it where the point goes. */
enum metrics_scale {
	METRICS_WHOLE,	/* as it is */
	METRICS_USEC,	/* microseconds, shown in seconds */
	METRICS_MILLI,	/* thousandths */
	METRICS_MYRIAD, /* ten-thousandths */
};

void metrics_text_finish(struct metrics_text *text);
/* As it stands: what the caller knows to need no escaping. */
void metrics_text_add(struct metrics_text *text, const char *literal);
/* # HELP and # TYPE. A counter's name ends in _total. */
void metrics_text_family(
	struct metrics_text *text, const char *name, const char *type, const char *help);
/* name="value", escaped, with a comma before it unless it is the first. */
void metrics_text_label(struct metrics_text *text, bool first, const char *name, const char *value);
void metrics_text_number(struct metrics_text *text, uint64_t value, enum metrics_scale scale);

/*
 * A sample on a line of its own. labels is what stands between the braces, escaped already; ""
 * for none.
 */
void metrics_text_sample(struct metrics_text *text, const char *name, const char *labels,
	uint64_t value, enum metrics_scale scale);
/* The same with one label more, behind those; "": none. */
void metrics_text_labelled(struct metrics_text *text, const char *name, const char *labels,
	const char *last_label, uint64_t value, enum metrics_scale scale);
/* A family of one sample without labels. */
void metrics_text_single(struct metrics_text *text, const char *name, const char *type,
	const char *help, uint64_t value, enum metrics_scale scale);
/* The text is whole. */
void metrics_text_end(struct metrics_text *text);
/* The samples of a histogram, whose family is there already. */
void metrics_text_histogram(struct metrics_text *text, const char *name, const char *labels,
	const struct histogram *histogram);
