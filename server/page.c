/* Page tokens: the list's name and the last key, in hexadecimal; see page.h. */
#include "server/page.h"

#include <stdio.h>
#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<letter of the list><hexadecimal key>". False when it is not of this list, or not a token. */
static bool read_token(const char *list, const char *token, char out[static PAGE_KEY_SIZE])
{
	size_t n = 0;

	if (token[0] != list[0])
		return false;
	for (const char *p = token + 1; *p; p += 2) {
		int high = digit(p[0]);
		int low = high < 0 ? -1 : digit(p[1]);
		int c = high * 16 + low;

		if (low < 0 || c <= ' ' || c > '~' || n + 1 >= PAGE_KEY_SIZE)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0;
}

int page_parse(
	const char *list, int32_t page_size, const char *token, struct page *ret, struct err *err)
{
	struct page page = {.size = PAGE_DEFAULT};

	if (page_size < 0)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "PAGE_INVALID", "page_size",
			"a page_size is not negative");
	if (page_size)
		page.size = page_size > PAGE_MAX ? PAGE_MAX : (size_t)page_size;
	if (*token && !read_token(list, token, page.after))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "PAGE_INVALID", "page_token",
			"this page_token is not one of this list");
	*ret = page;
	return 0;
}

const char *page_token(const char *list, const char *key, char out[static PAGE_TOKEN_SIZE])
{
	size_t n = 1;

	out[0] = list[0];
	for (const char *p = key; *p && n + 3 <= PAGE_TOKEN_SIZE; p++, n += 2)
		snprintf(out + n, 3, "%02x", (unsigned char)*p);
	out[n] = '\0';
	return out;
}

size_t page_collect(const struct page *page, const char *list, const struct map *map,
	bool (*wanted)(const struct map_node *node, const void *arg), const void *arg,
	const struct map_node **ret, char ret_token[static PAGE_TOKEN_SIZE])
{
	const char *after = page->after;
	const struct map_node *node;
	size_t n = 0;

	ret_token[0] = '\0';
	while ((node = map_after(map, after))) {
		after = node->key;
		if (!wanted(node, arg))
			continue;
		if (n == page->size) {
			page_token(list, ret[n - 1]->key, ret_token);
			break;
		}
		ret[n++] = node;
	}
	return n;
}
