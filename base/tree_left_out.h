/*
 * What a walk over a tree did not take: how much, and the first of it by name. Fixed in size, so
 * that Croft's program inside a container can say it in one piece.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

#define TREE_LEFT_OUT_NAMED 8	/* told by name; the rest is counted */
#define TREE_LEFT_OUT_PATH  256 /* of a path with its terminator; a longer one is cut */

enum tree_left_out_kind {
	LEFT_OUT_FIFO,
	LEFT_OUT_SOCKET,
	LEFT_OUT_DEVICE,
	LEFT_OUT_UNREADABLE, /* the kernel's files: no size, and opening or reading fails */
	LEFT_OUT_ENDLESS,    /* no size, and no end within TREE_UNSIZED_MAX */
	LEFT_OUT_KINDS,
};

struct tree_left_out {
	uint64_t count;
	struct {
		int32_t kind; /* enum tree_left_out_kind */
		char path[TREE_LEFT_OUT_PATH];
	} first[TREE_LEFT_OUT_NAMED]; /* as many as `count` says, at most all */
};

void tree_left_out_add(struct tree_left_out *l, enum tree_left_out_kind kind, const char *path);
/* How many of `first` there are. */
unsigned tree_left_out_named(const struct tree_left_out *l);
/*
 * Makes one that came from another process safe to use: paths terminated and without control
 * characters (they need not be UTF-8), kinds in range.
 */
void tree_left_out_sanitize(struct tree_left_out *l);
/* "a FIFO", "a file that cannot be read" and so on. */
const char *tree_left_out_text(int32_t kind);
