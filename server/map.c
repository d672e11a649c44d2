/* An ordered intrusive map; see map.h. Never allocates and never follows a key it was not given. */
#include "server/map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* xorshift32, seeded by the kernel: priorities need to be unknown to tenants, not perfect. */
static uint32_t next_priority(void)
{
	static uint32_t state;

	while (!state)
		if (getrandom(&state, sizeof(state), 0) < 0)
			state = (uint32_t)(uintptr_t)&state;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Splits a tree into the keys below `key` and the others. */
static void split(struct map_node *tree, const char *key, struct map_node **ret_low,
	struct map_node **ret_high)
{
	while (tree) {
		if (strcmp(tree->key, key) < 0) {
			*ret_low = tree;
			ret_low = &tree->right;
			tree = tree->right;
		} else {
			*ret_high = tree;
			ret_high = &tree->left;
			tree = tree->left;
		}
	}
	*ret_low = NULL;
	*ret_high = NULL;
}

void map_insert(struct map *map, struct map_node *node, const char *key)
{
	struct map_node **link = &map->root;

	node->key = key;
	node->priority = next_priority();
	while (*link && (*link)->priority >= node->priority)
		link = strcmp((*link)->key, key) < 0 ? &(*link)->right : &(*link)->left;
	split(*link, key, &node->left, &node->right);
	*link = node;
	map->n++;
}

void map_remove(struct map *map, struct map_node *node)
{
	struct map_node **link = &map->root;
	struct map_node *low = node->left;
	struct map_node *high = node->right;

	while (*link != node)
		link = strcmp((*link)->key, node->key) < 0 ? &(*link)->right : &(*link)->left;
	while (low && high) {
		if (low->priority > high->priority) {
			*link = low;
			link = &low->right;
			low = low->right;
		} else {
			*link = high;
			link = &high->left;
			high = high->left;
		}
	}
	*link = low ? low : high;
	map->n--;
}

struct map_node *map_find(const struct map *map, const char *key)
{
	struct map_node *node = map->root;

	while (node) {
		int order = strcmp(node->key, key);

		if (order == 0)
			return node;
		node = order < 0 ? node->right : node->left;
	}
	return NULL;
}

struct map_node *map_after(const struct map *map, const char *key)
{
	struct map_node *node = map->root;
	struct map_node *best = NULL;

	while (node) {
		if (strcmp(node->key, key) > 0) {
			best = node;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return best;
}
