/* CSV as RFC 4180 has it: records end with CRLF, fields are quoted where they must be. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* Writes one record of n fields. */
void csv_print(const char *const *fields, size_t n, FILE *out);
