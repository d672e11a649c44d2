/* Names for things by their content: 128 bits of SHA-256 as text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 33 /* 32 hexadecimal digits and a terminator */

/* Hashes size bytes. Returns out. */
const char *hash_bytes(const void *data, size_t size, char out[static HASH_SIZE]);

/* Hashes n strings, each with its terminator, so that no two lists run together. Returns out. */
const char *hash_strings(const char *const *strings, size_t n, char out[static HASH_SIZE]);
