/*
 * Pages of a list in order of names. A token is opaque to clients: it says after which name the
 * next page begins, so pages stay right while things come and go.
 */
#pragma once

#include "base/err.h"
#include "server/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_DEFAULT	100
#define PAGE_MAX	1000
#define PAGE_KEY_SIZE	80
#define PAGE_TOKEN_SIZE (2 * PAGE_KEY_SIZE + 2)

struct page {
	size_t size;
	char after[PAGE_KEY_SIZE]; /* "": from the first */
};

/*
 * Reads a request's page_size and page_token. `list` names the list, so that a token of another is
 * refused. INVALID_ARGUMENT / PAGE_INVALID.
 */
int page_parse(const char *list, int32_t page_size, const char *page_token, struct page *ret,
	struct err *err);

/* The token of the page after `key`. Returns out. */
const char *page_token(const char *list, const char *key, char out[static PAGE_TOKEN_SIZE]);

/*
 * Collects a page of a map: at most page->size nodes that are wanted, into ret. Returns how many;
 * ret_token is that of the next page, "" when nothing that is wanted follows.
 */
size_t page_collect(const struct page *page, const char *list, const struct map *map,
	bool (*wanted)(const struct map_node *node, const void *arg), const void *arg,
	const struct map_node **ret, char ret_token[static PAGE_TOKEN_SIZE]);
