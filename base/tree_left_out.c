/*
 * What was left out of a tree; see tree_left_out.h. Paths may be a tenant's, and whoever shows them
 * must have had them cleaned.
 */
#include "base/tree_left_out.h"

#include <stdio.h>

void tree_left_out_add(struct tree_left_out *l, enum tree_left_out_kind kind, const char *path)
{
	unsigned at = tree_left_out_named(l);

	if (at < TREE_LEFT_OUT_NAMED) {
		l->first[at].kind = (int32_t)kind;
		snprintf(l->first[at].path, sizeof(l->first[at].path), "%.*s",
			TREE_LEFT_OUT_PATH - 1, path);
	}
	l->count++;
}

unsigned tree_left_out_named(const struct tree_left_out *l)
{
	return l->count < TREE_LEFT_OUT_NAMED ? (unsigned)l->count : TREE_LEFT_OUT_NAMED;
}

void tree_left_out_sanitize(struct tree_left_out *l)
{
	for (unsigned i = 0; i < TREE_LEFT_OUT_NAMED; i++) {
		char *at = l->first[i].path;

		at[TREE_LEFT_OUT_PATH - 1] = '\0';
		for (; *at; at++)
			if ((unsigned char)*at < 0x20 || *at == 0x7f)
				*at = '?';
		if (l->first[i].kind < 0 || l->first[i].kind >= LEFT_OUT_KINDS)
			l->first[i].kind = LEFT_OUT_UNREADABLE;
	}
}

const char *tree_left_out_text(int32_t kind)
{
	static const char *const texts[] = {
		[LEFT_OUT_FIFO] = "a FIFO",
		[LEFT_OUT_SOCKET] = "a socket",
		[LEFT_OUT_DEVICE] = "a device",
		[LEFT_OUT_UNREADABLE] = "a file that cannot be read",
		[LEFT_OUT_ENDLESS] = "a file without a size that is too large",
	};

	return kind >= 0 && kind < LEFT_OUT_KINDS ? texts[kind] : texts[LEFT_OUT_UNREADABLE];
}
