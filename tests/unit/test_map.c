/* server/map.h against a sorted array, over random insertions and removals. */
#include "server/map.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define N 500

struct item {
	struct map_node node;
	char key[16];
	bool in;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

static void fill(struct item items[static N])
{
	memset(items, 0, N * sizeof(*items));
	for (size_t i = 0; i < N; i++)
		snprintf(items[i].key, sizeof(items[i].key), "k%05zu", i * 7919 % 100000);
	qsort(items, N, sizeof(*items), by_key);
}

static void check(const struct map *map, const struct item items[static N])
{
	struct map_node *node;
	size_t i = 0;

	MAP_FOREACH(node, map)
	{
		while (i < N && !items[i].in)
			i++;
		assert_true(i < N);
		assert_string_equal(node->key, items[i].key);
		i++;
	}
	while (i < N && !items[i].in)
		i++;
	assert_int_equal(i, N);
}

static void keeps_order_under_change(void **state)
{
	static struct item items[N];
	struct map map = {0};
	unsigned seed = 1;
	size_t n = 0;

	(void)state;
	fill(items);
	for (int step = 0; step < 20000; step++) {
		struct item *item = &items[(size_t)rand_r(&seed) % N];

		if (item->in)
			map_remove(&map, &item->node);
		else
			map_insert(&map, &item->node, item->key);
		item->in = !item->in;
		n = item->in ? n + 1 : n - 1;
		assert_int_equal(map.n, n);
		assert_int_equal(map_find(&map, item->key) != NULL, item->in);
		if (step % 1000 == 0)
			check(&map, items);
	}
	check(&map, items);
}

static void finds_what_comes_after(void **state)
{
	struct map_node a;
	struct map_node c;
	struct map map = {0};

	(void)state;
	assert_null(map_after(&map, ""));
	map_insert(&map, &a, "a");
	map_insert(&map, &c, "c");
	assert_ptr_equal(map_after(&map, ""), &a);
	assert_ptr_equal(map_after(&map, "a"), &c);
	assert_ptr_equal(map_after(&map, "b"), &c);
	assert_null(map_after(&map, "c"));
	assert_null(map_find(&map, "b"));
}

static void may_be_emptied_while_walked(void **state)
{
	static struct item items[N];
	struct map map = {0};
	struct map_node *node;

	(void)state;
	fill(items);
	for (size_t i = 0; i < N; i++)
		map_insert(&map, &items[i].node, items[i].key);
	MAP_FOREACH(node, &map)
	map_remove(&map, node);
	assert_int_equal(map.n, 0);
	assert_null(map_after(&map, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_under_change),
		cmocka_unit_test(finds_what_comes_after),
		cmocka_unit_test(may_be_emptied_while_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
