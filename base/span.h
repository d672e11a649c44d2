/* Spans of time as people write them: a whole number and a unit, as in "90s", "30m", "12h", "7d".
 */
#pragma once

#include <stdint.h>

#define SPAN_TEXT_SIZE 24

/* 0 to max_s seconds. Returns 0, or -EINVAL and leaves *ret_s as it is. */
int span_parse(const char *text, int64_t max_s, int64_t *ret_s);
/* In the largest unit of which it is a whole number; 0 or more seconds. Returns out. */
const char *span_write(int64_t seconds, char out[static SPAN_TEXT_SIZE]);
