/*
 * A byte-wise filter; see text_filter.h. Whatever it does not know to be harmless comes out in
 * caret notation; it holds back at most one short sequence.
 */
#include "cli/text_filter.h"

#include <stdbool.h>

#define ESC 0x1b

static void put_visible(uint8_t c, FILE *out)
{
	if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
		fprintf(out, "^%c", c ^ 0x40);
	else
		fputc(c, out);
}

static void flush_visible(struct text_filter *f, FILE *out)
{
	for (size_t i = 0; i < f->n_held; i++)
		put_visible(f->held[i], out);
	f->n_held = 0;
}

static void flush_raw(struct text_filter *f, FILE *out)
{
	fwrite(f->held, 1, f->n_held, out);
	f->n_held = 0;
}

static void hold(struct text_filter *f, uint8_t c)
{
	f->held[f->n_held++] = c;
}

/* One byte of ESC [ ... m. Returns false when c cannot go on with what is held. */
static bool go_on_colour(struct text_filter *f, uint8_t c, FILE *out)
{
	if (f->n_held == 1) {
		if (c != '[')
			return false;
		hold(f, c);
		return true;
	}
	if (c == 'm') {
		hold(f, c);
		flush_raw(f, out);
		return true;
	}
	if (((c < '0' || c > '9') && c != ';') || f->n_held + 1 >= TEXT_FILTER_HELD_MAX)
		return false;
	hold(f, c);
	return true;
}

/* The byte behind a held ESC sequence, CR or 0xc2. Returns true when c has been dealt with. */
static bool go_on(struct text_filter *f, uint8_t c, FILE *out)
{
	if (f->held[0] == ESC) {
		if (go_on_colour(f, c, out))
			return true;
		flush_visible(f, out);
		return false;
	}
	if (f->held[0] == '\r') {
		/* Alone it would let the rest of a line cover its beginning. */
		if (c == '\n')
			flush_raw(f, out);
		else
			flush_visible(f, out);
		return false;
	}
	/* U+0080 to U+009F: the same controls as ESC and a letter. */
	f->n_held = 0;
	if (c >= 0x80 && c <= 0x9f) {
		fprintf(out, "^[%c", c - 0x40);
		return true;
	}
	fputc(0xc2, out);
	return false;
}

void text_filter_write(struct text_filter *f, const uint8_t *data, size_t size, FILE *out)
{
	for (size_t i = 0; i < size; i++) {
		uint8_t c = data[i];

		if (f->n_held && go_on(f, c, out))
			continue;
		if (c == ESC || c == '\r' || c == 0xc2)
			hold(f, c);
		else
			put_visible(c, out);
	}
}

void text_filter_end(struct text_filter *f, FILE *out)
{
	flush_visible(f, out);
}
