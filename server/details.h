/*
 * An event's details: a JSON object put together member by member. A member that does not fit is
 * left out whole, so that what comes out is always one object that a program can read.
 */
#pragma once

#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Larger than any event of croftd's: every limit, old and new, with two lists of cores each. */
#define DETAILS_SIZE 8192

struct details {
	char text[DETAILS_SIZE];
	size_t len;
	unsigned depth;
	unsigned left_out; /* objects that did not fit, and are open */
};

void details_init(struct details *d);
/* Members; key is a literal. Text is escaped, and what is not UTF-8 in it replaced by '?'. */
void details_text(struct details *d, const char *key, const char *value);
void details_number(struct details *d, const char *key, uint64_t value);
void details_int(struct details *d, const char *key, int64_t value);
void details_bool(struct details *d, const char *key, bool value);
void details_null(struct details *d, const char *key);
/* A limit, or another figure that there may be none of: null for LIMIT_UNSET. */
void details_limit(struct details *d, const char *key, uint64_t value);
/* An object within; every open one is closed by details_end() at the latest. */
void details_open(struct details *d, const char *key);
void details_close(struct details *d);
/* Closes the object. Returns d->text. */
const char *details_end(struct details *d);

/*
 * What an update changed: {"changes": {"limits.pids": {"old": 64, "new": 100}, ...}} by the paths
 * of update masks, and the same in words. null stands for "no limit".
 */
struct changes {
	struct details details;
	char text[256]; /* "pids 64 to 100, cpu none to 0.5"; cut when there are many */
	unsigned n;
};

void changes_init(struct changes *c);
void changes_limits(struct changes *c, const struct limits *old, const struct limits *new);
/* The cores that were chosen, which may change though nobody named any. */
void changes_cores(struct changes *c, const uint64_t old[static LIMITS_CPU_WORDS],
	const uint64_t new[static LIMITS_CPU_WORDS]);
void changes_text(struct changes *c, const char *path, const char *old, const char *new);
void changes_number(struct changes *c, const char *path, uint64_t old, uint64_t new);
void changes_bool(struct changes *c, const char *path, bool old, bool new);
/* Closes the details. Returns their text. */
const char *changes_end(struct changes *c);

/* The members of limits that are set, by the same paths. */
void details_limits(struct details *d, const struct limits *limits);
