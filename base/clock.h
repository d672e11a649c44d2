/* Clocks: durations come from BOOTTIME, the wall clock is only a label (shared rule of billing). */
#pragma once

#include <stdint.h>

#define BOOT_ID_LEN    37 /* a UUID as text, with its terminator */
#define CLOCK_TEXT_MAX 32 /* "2026-01-02T03:04:05.678901Z" and its terminator */

/* CLOCK_BOOTTIME in microseconds: never steps, goes on during suspend. */
uint64_t clock_boot_usec(void);

/* CLOCK_REALTIME in microseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_usec(void);

/* Copies this boot's id from /proc/sys/kernel/random/boot_id. Returns 0 or -errno. */
int clock_boot_id(char ret_id[static BOOT_ID_LEN]);

/* Writes a wall-clock time as RFC 3339 in UTC with microseconds. Returns out. */
const char *clock_format(int64_t wall_usec, char out[static CLOCK_TEXT_MAX]);

/* Reads RFC 3339 ("2026-01-02T03:04:05Z", fraction and numeric offset allowed). 0 or -EINVAL. */
int clock_parse(const char *text, int64_t *ret_wall_usec);
