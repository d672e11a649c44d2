/* The last component of a path, which is the name that a file is moved under. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The last component, with *ret_len bytes, within path: slashes behind it do not count. Where there
 * is none ("", "/", "//") it is the empty string at its end.
 */
const char *path_last(const char *path, size_t *ret_len);

/* True when a component names something: it is not empty, "." or "..". */
bool path_is_name(const char *component);
