/* UTF-8 (RFC 3629): protobuf's strings must be it, and a client may refuse a reply that is not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. */
bool grpc_utf8_is_valid(const uint8_t *data, size_t size);
/* Replaces each byte that is not part of well-formed UTF-8 by '?'. */
void grpc_utf8_repair(char *text);
