/* The last component of a path, and whether it is a name. */
#include "base/path.h"

#include "base/cleanup.h"
#include "tests/unit/unit.h"

#include <string.h>

static void the_last_is_found(void **state)
{
	static const struct {
		const char *path;
		size_t at;
		const char *last;
	} rows[] = {
		{"", 0, ""},
		{"/", 1, ""},
		{"///", 3, ""},
		{"a", 0, "a"},
		{"a/", 0, "a"},
		{"/a", 1, "a"},
		{"/a//", 1, "a"},
		{"a/b", 2, "b"},
		{"/a//bc", 4, "bc"},
		{"/a/bc///", 3, "bc"},
		{"/a/.", 3, "."},
		{"a/../", 2, ".."},
		{"/a/b c\n", 3, "b c\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = SIZE_MAX;
		const char *last = path_last(rows[i].path, &len);

		assert_ptr_equal(last, rows[i].path + rows[i].at);
		assert_int_equal(len, strlen(rows[i].last));
		assert_memory_equal(last, rows[i].last, len);
	}
}

static void dots_are_no_names(void **state)
{
	static const char *const names[] = {"a", ".a", "..a", "...", "a.", " ", "-"};
	static const char *const others[] = {"", ".", ".."};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(path_is_name(names[i]));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(path_is_name(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_is_found),
		cmocka_unit_test(dots_are_no_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
