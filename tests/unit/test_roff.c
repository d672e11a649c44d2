/* base/roff.h: text stays text, and a page has one place for what is generated. */
#include "base/roff.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void check(void (*write)(const char *, FILE *), const char *text, const char *wanted)
{
	char *got = NULL;
	size_t size;
	FILE *out = open_memstream(&got, &size);

	assert_non_null(out);
	write(text, out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(got, wanted);
	free(got);
}

static void text_is_no_markup(void **state)
{
	(void)state;
	check(roff_text, "plain words", "plain words\n");
	check(roff_text, ".Sh no section", "\\&.Sh no section\n");
	check(roff_text, "'br no request", "\\&\\(aqbr no request\n");
	check(roff_text, "a\\fBb --flag", "a\\efBb \\-\\-flag\n");
	check(roff_argument, "Ar", " \"\\&Ar\"");
	check(roff_argument, "two \"words\"", " \"\\&two \\(dqwords\\(dq\"");
}

static void print_part(FILE *out)
{
	fputs("PART\n", out);
}

static int fill(const char *page, const char *wanted)
{
	char *got = NULL;
	size_t size;
	FILE *in = fmemopen((void *)page, strlen(page), "r");
	FILE *out = open_memstream(&got, &size);
	int r;

	assert_non_null(in);
	assert_non_null(out);
	r = roff_fill(in, out, print_part);
	fclose(in);
	fclose(out);
	if (r == 0)
		assert_string_equal(got, wanted);
	free(got);
	return r;
}

static void a_page_has_one_generated_part(void **state)
{
	(void)state;
	assert_int_equal(fill("a\n.\\\" @GENERATED@\nb\n", "a\nPART\nb\n"), 0);
	assert_int_equal(fill("a\nb\n", NULL), -EINVAL);
	assert_int_equal(fill(".\\\" @GENERATED@\n.\\\" @GENERATED@\n", NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_no_markup),
		cmocka_unit_test(a_page_has_one_generated_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
