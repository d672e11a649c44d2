/* How long a webhook waits before its message is tried again. */
#pragma once

#include <stdint.h>

#define WEBHOOK_RETRY_FIRST_MS	  1000u
#define WEBHOOK_RETRY_AFTER_MAX_S 86400 /* of what a receiver may ask for */

/*
 * Milliseconds after so many attempts in vain (1 and up): twice as long each time, up to cap_ms;
 * half of it is left to chance (`random`, any 32 bits), so that those that failed together do not
 * come back together. retry_after_s: what the receiver asked for at least; 0: nothing.
 */
uint64_t webhook_backoff_ms(
	unsigned attempts, uint64_t cap_ms, int64_t retry_after_s, uint32_t random);
