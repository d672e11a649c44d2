/* Writes CSV; see csv.h. A field with a comma, quote or line break is quoted, never changed. */
#include "cli/csv.h"

#include <string.h>

static void print_field(const char *field, FILE *out)
{
	if (!field[strcspn(field, ",\"\r\n")]) {
		fputs(field, out);
		return;
	}
	fputc('"', out);
	for (; *field; field++) {
		if (*field == '"')
			fputc('"', out);
		fputc(*field, out);
	}
	fputc('"', out);
}

void csv_print(const char *const *fields, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			fputc(',', out);
		print_field(fields[i], out);
	}
	fputs("\r\n", out);
}
