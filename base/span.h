/* Spans of time as people write them: a whole number and a unit, as in "90s", "30m", "12h", "7d".
 */
#pragma once

#include <stdint.h>

#define SPAN_TEXT_SIZE	   24
#define SPAN_SCHEDULE_SIZE 96

/* 0 to max_s seconds. Returns 0, or -EINVAL and leaves *ret_s as it is. */
int span_parse(const char *text, int64_t max_s, int64_t *ret_s);
/* In the largest unit of which it is a whole number; 0 or more seconds. Returns out. */
const char *span_write(int64_t seconds, char out[static SPAN_TEXT_SIZE]);
/* "every 1d, 7 kept for 30d", of snapshots; without the end where they do not expire (0), and ""
 * where none are made (0). Returns out. */
const char *span_write_schedule(
	int64_t every_s, uint32_t keep, int64_t expire_s, char out[static SPAN_SCHEDULE_SIZE]);
