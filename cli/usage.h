/*
 * Usage errors: the command line itself is wrong, nothing was asked of the server. They are a
 * struct err with the reason USAGE, for which main() exits 2 and shows the command's usage line.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

#define USAGE_REASON "USAGE"

/* Fills err with a usage error. Returns -EINVAL. */
int usage_error(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes a usage error of an error of base's parsers (a malformed size or name). Returns -EINVAL. */
int usage_from(struct err *err);

bool usage_is(const struct err *err);
