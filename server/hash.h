/* Names for things by their content: 128 bits of SHA-256 as text. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 33 /* 32 hexadecimal digits and a terminator */

/* Hashes size bytes. Returns 0, or -EIO when libcrypto cannot. */
int hash_bytes(const void *data, size_t size, char ret[static HASH_SIZE], struct err *err);

/* Hashes n strings, each with its terminator, so that no two lists run together. As hash_bytes().
 */
int hash_strings(const char *const *strings, size_t n, char ret[static HASH_SIZE], struct err *err);
