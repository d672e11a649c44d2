/* server/page.h: what a page token carries, and which ones are refused. */
#include "server/page.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void a_token_brings_back_its_key(void **state)
{
	static const char *const keys[] = {"a", "acme/web", "tenant-with-a-long-name-of-32-ch/x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char token[PAGE_TOKEN_SIZE];
		struct page page;
		struct err err;

		page_token("c", keys[i], token);
		assert_int_equal(page_parse("c", 5, token, &page, &err), 0);
		assert_string_equal(page.after, keys[i]);
		assert_int_equal(page.size, 5);
	}
}

static void the_longest_key_fits(void **state)
{
	char key[2 * 32 + 2];
	char token[PAGE_TOKEN_SIZE + 1] = "";
	struct page page;
	struct err err;

	(void)state;
	memset(key, 'a', sizeof(key) - 1);
	key[32] = '/';
	key[sizeof(key) - 1] = '\0';
	page_token("c", key, token);
	assert_int_equal(page_parse("c", 0, token, &page, &err), 0);
	assert_string_equal(page.after, key);
}

static void sizes_have_bounds(void **state)
{
	struct page page;
	struct err err;

	(void)state;
	assert_int_equal(page_parse("c", 0, "", &page, &err), 0);
	assert_int_equal(page.size, PAGE_DEFAULT);
	assert_string_equal(page.after, "");
	assert_int_equal(page_parse("c", INT32_MAX, "", &page, &err), 0);
	assert_int_equal(page.size, PAGE_MAX);
	assert_int_equal(page_parse("c", -1, "", &page, &err), -EINVAL);
	assert_string_equal(err.subject, "page_size");
}

static void foreign_tokens_are_refused(void **state)
{
	static const char *const tokens[] = {"t61", "c", "c6", "c6g", "c0a", "cff", "c61\n", "x",
		"c616161616161616161616161616161616161616161616161616161616161616161616161616161616"
		"1"
		"61616161616161616161616161616161616161616161616161616161616161616161616161616161"
		"6"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		struct page page = {.size = 77};
		struct err err = {0};

		if (page_parse("c", 1, tokens[i], &page, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", tokens[i]);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_int_equal(page.size, 77);
	}
}

static bool is_odd(const struct map_node *node, const void *arg)
{
	(void)arg;
	return (node->key[1] - '0') % 2;
}

static void pages_hold_what_is_wanted_and_end_with_it(void **state)
{
	static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"};
	struct map_node nodes[ARRAY_SIZE(keys)];
	const struct map_node *found[3];
	struct page page = {.size = 3};
	char token[PAGE_TOKEN_SIZE];
	struct map map = {0};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		map_insert(&map, &nodes[i], keys[i]);
	assert_int_equal(page_collect(&page, "t", &map, is_odd, NULL, found, token), 3);
	assert_string_equal(found[0]->key, "k1");
	assert_string_equal(found[2]->key, "k5");
	assert_int_equal(page_parse("t", 3, token, &page, &err), 0);
	assert_int_equal(page_collect(&page, "t", &map, is_odd, NULL, found, token), 1);
	assert_string_equal(found[0]->key, "k7");
	/* What follows is not wanted: not even that there is something may be told. */
	assert_string_equal(token, "");
	page.size = 1;
	assert_int_equal(page_collect(&page, "t", &map, is_odd, NULL, found, token), 1);
	assert_string_equal(token, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_brings_back_its_key),
		cmocka_unit_test(the_longest_key_fits),
		cmocka_unit_test(sizes_have_bounds),
		cmocka_unit_test(foreign_tokens_are_refused),
		cmocka_unit_test(pages_hold_what_is_wanted_and_end_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
