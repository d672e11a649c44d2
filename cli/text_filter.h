/*
 * Making text of a container harmless to the terminal of whoever reads it: escape sequences can
 * retitle windows, write to clipboards or fake what is on the screen.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_FILTER_HELD_MAX 24

/* Holds the start of a sequence that the next piece may complete. All zero: nothing held. */
struct text_filter {
	uint8_t held[TEXT_FILTER_HELD_MAX];
	size_t n_held;
};

/*
 * Writes text with every control character shown in caret notation ("^G"), but for tab, newline,
 * carriage return before a newline, and colours (ECMA-48 SGR: ESC [ digits and ; m).
 */
void text_filter_write(struct text_filter *f, const uint8_t *data, size_t size, FILE *out);
/* Writes what is still held. */
void text_filter_end(struct text_filter *f, FILE *out);
