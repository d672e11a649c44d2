/* Figures for narrow columns: three digits are enough, and a unit. */
#pragma once

#include <stdint.h>

#define SHORT_TEXT_MAX 24

/* "9999", "12k", "3M": five characters at most. Returns out. */
const char *short_count(uint64_t n, char out[static SHORT_TEXT_MAX]);
/* Four characters at most: "999", "1.5K", "128M". Returns out. */
const char *short_size(uint64_t bytes, char out[static SHORT_TEXT_MAX]);
/* Of thousandths, as per cent. Returns out. */
const char *short_share(uint64_t milli, char out[static SHORT_TEXT_MAX]);
