/* Names of archive entries: which are accepted, and how they are shown. Pure; no file is touched.
 */
#pragma once

#include "base/err.h"

#include <limits.h>

#define ENTRY_DEPTH_MAX	 512 /* components of one name */
#define ENTRY_QUOTED_MAX 120 /* a name in a message, with its terminator */

/*
 * Brings a name into the form "a/b/c" ("" for the root itself): "." components, doubled and
 * trailing slashes go. Refuses an absolute, empty or overlong name and any "..": -EINVAL with
 * INVALID_ARGUMENT / IMAGE_INVALID naming the entry. raw may be NULL (unreadable).
 */
int entry_path_clean(const char *raw, char ret[static PATH_MAX], struct err *err);

/* A name for a message: control and non-ASCII bytes as \xNN, cut when long. Returns out. */
const char *entry_path_quote(const char *raw, char out[static ENTRY_QUOTED_MAX]);
