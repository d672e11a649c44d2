/* Back-off; see webhook_backoff.h. Pure: neither a clock nor chance of its own. */
#include "server/webhook_backoff.h"

#define DOUBLINGS_MAX 32u

uint64_t webhook_backoff_ms(
	unsigned attempts, uint64_t cap_ms, int64_t retry_after_s, uint32_t random)
{
	unsigned doublings = attempts > 1 ? attempts - 1 : 0;
	uint64_t asked_ms = 0;
	uint64_t full;
	uint64_t wait;

	if (doublings > DOUBLINGS_MAX)
		doublings = DOUBLINGS_MAX;
	full = (uint64_t)WEBHOOK_RETRY_FIRST_MS << doublings;
	if (full > cap_ms)
		full = cap_ms;
	wait = full / 2 + ((full - full / 2) * random >> 32);
	if (retry_after_s > WEBHOOK_RETRY_AFTER_MAX_S)
		retry_after_s = WEBHOOK_RETRY_AFTER_MAX_S;
	if (retry_after_s > 0)
		asked_ms = (uint64_t)retry_after_s * 1000;
	return asked_ms > wait ? asked_ms : wait;
}
