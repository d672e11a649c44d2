/* Hard links: the first name of each inode that has several. A tenant chooses how many. */
#include "sandbox/packer/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Well within the packer's memory; more is refused. */
#define LINKS_MAX	2000000u
#define LINKS_BYTES_MAX (256u << 20)

struct pack_link {
	ino_t ino;
	char *path; /* owned; NULL: free */
};

static size_t place(const struct pack_links *links, ino_t ino)
{
	size_t at = (size_t)((uint64_t)ino * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	for (at &= links->capacity - 1; links->slots[at].path && links->slots[at].ino != ino;)
		at = (at + 1) & (links->capacity - 1);
	return at;
}

static int grow(struct pack_links *links)
{
	struct pack_links bigger = {.capacity = links->capacity ? links->capacity * 2 : 1024};

	if ((links->n + 1) * 2 <= links->capacity)
		return 0;
	bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < links->capacity; i++)
		if (links->slots[i].path)
			bigger.slots[place(&bigger, links->slots[i].ino)] = links->slots[i];
	free(links->slots);
	links->slots = bigger.slots;
	links->capacity = bigger.capacity;
	return 0;
}

const char *pack_links_find(struct pack_links *links, ino_t ino, const char *path, int *ret_error)
{
	struct pack_link *link;

	*ret_error = grow(links);
	if (*ret_error < 0)
		return NULL;
	link = &links->slots[place(links, ino)];
	if (link->path)
		return link->path;
	links->bytes += strlen(path) + 1;
	if (links->n >= LINKS_MAX || links->bytes > LINKS_BYTES_MAX) {
		*ret_error = -E2BIG;
		return NULL;
	}
	link->path = strdup(path);
	link->ino = ino;
	if (link->path)
		links->n++;
	else
		*ret_error = -ENOMEM;
	return NULL;
}

void pack_links_clear(struct pack_links *links)
{
	for (size_t i = 0; i < links->capacity; i++)
		free(links->slots[i].path);
	free(links->slots);
	memset(links, 0, sizeof(*links));
}
