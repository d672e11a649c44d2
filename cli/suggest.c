/*
 * Nearest words by edit distance (insert, delete, replace, swap neighbours); see suggest.h. Must
 * stay cheap on any input: words longer than WORD_MAX are simply not near to anything.
 */
#include "cli/suggest.h"

#include <string.h>

#define WORD_MAX 40

void suggest_init(struct suggest *s, const char *word, size_t len)
{
	/* One slip in a short word, two in a longer one. */
	*s = (struct suggest){.word = word, .len = len, .distance = (len > 4 ? 2 : 1) + 1};
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0];
	size_t *above = rows[1];
	size_t *row = rows[2];

	for (size_t j = 0; j <= m; j++)
		above[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t d = above[j - 1] + (a[i - 1] != b[j - 1]);

			d = min(d, min(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = min(d, before[j - 2] + 1);
			row[j] = d;
		}
		before = above;
		above = row;
		row = oldest;
	}
	return above[m];
}

void suggest_add(struct suggest *s, const char *candidate)
{
	size_t m = strlen(candidate);
	size_t d;

	if (s->len > WORD_MAX || m > WORD_MAX)
		return;
	d = distance(s->word, s->len, candidate, m);
	if (d < s->distance) {
		s->distance = d;
		s->best = candidate;
	}
}
