/*
 * Manual pages; see roff.h. Only used while building: what is written comes from tables of this
 * source, but must still show a backslash or a leading dot as such.
 */
#include "base/roff.h"

#include <errno.h>
#include <string.h>

#define GENERATED      ".\\\" @GENERATED@\n"
#define PAGE_LINE_SIZE 1024

static void put_escaped(const char *text, FILE *out)
{
	static const struct {
		char c;
		const char *escape;
	} escapes[] = {
		{'\\', "\\e"},
		{'-', "\\-"}, /* else a hyphen, which no shell takes for an option's */
		{'"', "\\(dq"},
		{'\'', "\\(aq"},
		{'^', "\\(ha"},
		{'~', "\\(ti"},
		{'`', "\\(ga"},
	};

	for (; *text; text++) {
		const char *escape = NULL;

		for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
			if (escapes[i].c == *text)
				escape = escapes[i].escape;
		if (escape)
			fputs(escape, out);
		else
			fputc(*text, out);
	}
}

void roff_text(const char *text, FILE *out)
{
	/* \& is nothing, but keeps a dot from being the first of the line. */
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	put_escaped(text, out);
	fputc('\n', out);
}

void roff_argument(const char *text, FILE *out)
{
	/* Here it also keeps a word from being the name of another macro. */
	fputs(" \"\\&", out);
	put_escaped(text, out);
	fputc('"', out);
}

int roff_fill(FILE *in, FILE *out, void (*print)(FILE *out))
{
	char line[PAGE_LINE_SIZE];
	unsigned n = 0;

	while (fgets(line, sizeof(line), in)) {
		if (!strcmp(line, GENERATED)) {
			print(out);
			n++;
		} else {
			fputs(line, out);
		}
	}
	if (n != 1)
		return -EINVAL;
	return ferror(in) || ferror(out) || fflush(out) != 0 ? -EIO : 0;
}
