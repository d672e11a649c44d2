/* Manual pages in mdoc(7): text that cannot become markup, and pages with a generated part. */
#pragma once

#include <stdio.h>

/* Writes text as one line of input, which troff fills. Nothing in it is taken for a request. */
void roff_text(const char *text, FILE *out);

/* Writes one argument of a macro line, a space before it; it may have spaces of its own. */
void roff_argument(const char *text, FILE *out);

/*
 * Copies a page, and calls print() in the place of its line `.\" @GENERATED@`. Returns 0, or
 * -EINVAL when there is not exactly one such line, or the error of in or out.
 */
int roff_fill(FILE *in, FILE *out, void (*print)(FILE *out));
