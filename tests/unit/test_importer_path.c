/* Names of archive entries: which are accepted, and how refused ones are shown. */
#include "tests/unit/unit.h"

#include "sandbox/importer/entry_path.h"

#include <stdio.h>
#include <string.h>

static void clean_names_are_accepted(void **state)
{
	static const struct {
		const char *raw;
		const char *clean;
	} cases[] = {
		{"a", "a"},
		{"./a", "a"},
		{"a/", "a"},
		{"a//b", "a/b"},
		{"./a/./b/.", "a/b"},
		{".", ""},
		{"./", ""},
		{"././/.", ""},
		{"...", "..."},
		{"a/..b/c..", "a/..b/c.."},
		{".wh.file", ".wh.file"},
		{" ", " "},
		{"-rf", "-rf"},
		{"\xff\n", "\xff\n"},
	};
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(entry_path_clean(cases[i].raw, path, NULL), 0);
		assert_string_equal(path, cases[i].clean);
	}
}

static void names_that_lead_out_are_refused(void **state)
{
	static const char *const cases[] = {NULL, "", "/", "/etc/passwd", "//a", "..", "../a",
		"./..", "a/..", "a/../b", "a/./../../b", "a/../", "a//..//b"};
	char path[PATH_MAX] = "untouched";
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(entry_path_clean(cases[i], path, &err), -EINVAL);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.reason, "IMAGE_INVALID");
		assert_string_equal(path, "untouched");
		if (cases[i])
			assert_non_null(strstr(err.msg, cases[i]));
	}
}

/* "<component>/<component>/..." of n components of `length` bytes. */
static char *repeat(size_t n, size_t length)
{
	char *text = malloc(n * (length + 1) + 1);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++) {
		memset(text + i * (length + 1), 'd', length);
		text[i * (length + 1) + length] = '/';
	}
	text[n * (length + 1)] = '\0';
	return text;
}

static void sizes_are_bounded(void **state)
{
	static const struct {
		size_t n;
		size_t length;
		int expected;
	} cases[] = {
		{1, NAME_MAX, 0},
		{1, NAME_MAX + 1, -EINVAL},
		{ENTRY_DEPTH_MAX, 1, 0},
		{ENTRY_DEPTH_MAX + 1, 1, -EINVAL},
		{15, NAME_MAX, 0},	 /* 3839 bytes */
		{16, NAME_MAX, 0},	 /* 4095: the longest path there is */
		{17, NAME_MAX, -EINVAL}, /* beyond PATH_MAX */
		{100000, 3, -EINVAL},
	};
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *raw = repeat(cases[i].n, cases[i].length);

		assert_int_equal(entry_path_clean(raw, path, NULL), cases[i].expected);
		if (cases[i].expected == 0)
			assert_int_equal(strlen(path), strlen(raw) - 1);
	}
}

static void quoted_names_are_plain_text(void **state)
{
	char out[ENTRY_QUOTED_MAX];
	char longest[1000];

	(void)state;
	assert_string_equal(entry_path_quote("a b", out), "a b");
	assert_string_equal(entry_path_quote(NULL, out), "");
	assert_string_equal(
		entry_path_quote("\x1b[31m\n\xc3\xbc", out), "\\x1b[31m\\x0a\\xc3\\xbc");
	memset(longest, '\n', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	entry_path_quote(longest, out);
	assert_true(strlen(out) < ENTRY_QUOTED_MAX);
	assert_string_equal(out + strlen(out) - 3, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_names_are_accepted),
		cmocka_unit_test(names_that_lead_out_are_refused),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(quoted_names_are_plain_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
