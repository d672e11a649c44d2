/* The command that is a container's pid 1, as a list and as the bytes the database keeps. */
#pragma once

#include "base/err.h"
#include "server/model.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Checks and copies a list: the first must be an absolute path, none may be longer than the
 * kernel takes. Returns 0 with an allocated NULL-terminated list (NULL for n = 0), or
 * INVALID_ARGUMENT / ARGUMENTS_TOO_LARGE or INIT_INVALID.
 */
int init_args_copy(char **args, size_t n, char ***ret, struct err *err);
void init_args_free(char **args);

/* Writes each string with its terminator. Returns the number of bytes. */
size_t init_args_write(char **args, uint8_t out[static INIT_ARGS_BYTES_MAX]);
/* Reads such bytes; -EBADMSG when they are none. */
int init_args_read(const uint8_t *data, size_t size, char ***ret, struct err *err);
