/* Clocks: durations come from BOOTTIME, the wall clock is only a label (shared rule of billing). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BOOT_ID_LEN    37 /* a UUID as text, with its terminator */
#define CLOCK_TEXT_MAX 32 /* "2026-01-02T03:04:05.678901Z" and its terminator */

/* CLOCK_BOOTTIME in microseconds: never steps, goes on during suspend. */
uint64_t clock_boot_usec(void);

/* CLOCK_REALTIME in microseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_usec(void);

/* Looks at both clocks, some time apart; begins as 0. */
struct clock_looks {
	int64_t offset_usec; /* of the wall clock from BOOTTIME, at the last one */
	unsigned even;	     /* looks at which it had stayed, up to what is asked for */
};

/*
 * Takes a look. True when the wall clock has gone evenly for CLOCK_EVEN_LOOKS of them: one that was
 * just set, or is not set yet, may be years ahead, and nothing is old by it.
 */
#define CLOCK_EVEN_LOOKS 5u
bool clock_is_even(struct clock_looks *looks, uint64_t boot_usec, int64_t wall_usec);

/* Copies this boot's id from /proc/sys/kernel/random/boot_id. Returns 0 or -errno. */
int clock_boot_id(char ret_id[static BOOT_ID_LEN]);

/* Writes a wall-clock time as RFC 3339 in UTC with microseconds. Returns out. */
const char *clock_format(int64_t wall_usec, char out[static CLOCK_TEXT_MAX]);

/* Reads RFC 3339 ("2026-01-02T03:04:05Z", fraction and numeric offset allowed). 0 or -EINVAL. */
int clock_parse(const char *text, int64_t *ret_wall_usec);
