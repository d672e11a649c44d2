/*
 * An ordered map from strings to objects: a treap whose nodes live in the objects.
 *
 * Priorities are random, so that no choice of names by a tenant can make it deep. Nothing is
 * allocated; the key and the object stay the caller's and must outlive the node's membership.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct map_node {
	struct map_node *left;
	struct map_node *right;
	uint32_t priority;
	const char *key;
};

/* All zero is an empty map. */
struct map {
	struct map_node *root;
	size_t n;
};

/* Adds a node under a key that must not be in the map. */
void map_insert(struct map *map, struct map_node *node, const char *key);
/* Takes a node of this map out. */
void map_remove(struct map *map, struct map_node *node);
/* The node with this key, or NULL. */
struct map_node *map_find(const struct map *map, const char *key);
/* The node with the smallest key greater than this one, or NULL. "" gives the first. */
struct map_node *map_after(const struct map *map, const char *key);

#define map_object(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/*
 * Walks all in order of keys. The body may remove the present node (its key must stay readable
 * until the next step) and any other.
 */
#define MAP_FOREACH(node, map)                                                                     \
	for ((node) = map_after((map), ""); (node); (node) = map_after((map), (node)->key))
