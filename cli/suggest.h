/* "Did you mean ...?": the nearest of some words to a mistyped one. */
#pragma once

#include <stddef.h>

struct suggest {
	const char *word;
	size_t len;
	size_t distance;
	const char *best; /* NULL: nothing is near enough */
};

/* The word need not be terminated. */
void suggest_init(struct suggest *s, const char *word, size_t len);
/* Offers a candidate, which must outlive s. */
void suggest_add(struct suggest *s, const char *candidate);
