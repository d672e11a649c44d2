/* Random identifiers for request_id, by which the server knows a retried mutation again. */
#pragma once

#include "base/err.h"

#define UUID_SIZE 37 /* 36 characters and a terminator */

/* Writes a random UUID (RFC 9562, version 4). Returns 0, or -errno when there is no entropy. */
int uuid_random(char ret_uuid[static UUID_SIZE], struct err *err);
