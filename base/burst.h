/*
 * Burstable billing: traffic is looked at in stretches of five minutes of the wall clock, the top
 * 5 % of a period's are dropped, and the next one is what is billed (nearest rank), as bits a
 * second. Both ways are ranked by themselves, and the higher one counts. See
 * docs/adr/0097-the-95th-percentile.md.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BURST_SLOTS	12 /* of an hour */
#define BURST_SLOT_USEC (INT64_C(300) * 1000000)

enum burst_way { BURST_IN, BURST_OUT, BURST_WAYS };

/* The bytes of an hour's stretches. Where several are of the same hour, they add up. */
struct burst_hour {
	uint64_t bytes[BURST_WAYS][BURST_SLOTS];
};

/* "IN/OUT" of each stretch, with a space between. */
#define BURST_TEXT_MAX (BURST_SLOTS * (BURST_WAYS * 21) + 1)
/* Returns out. */
const char *burst_format(const struct burst_hour *hour, char out[static BURST_TEXT_MAX]);
/* Returns 0, or -EINVAL when that is not what burst_format() wrote. */
int burst_parse(const char *text, struct burst_hour *ret);

/* What the highest stretch of an hour came to, either way: bits a second, rounded down. */
uint64_t burst_highest(const struct burst_hour *hour);

/* The hours of a period in which anything went; all zero is empty. */
struct burst_sum {
	struct burst_of_hour *hours; /* owned, in their order */
	size_t n;
	size_t room;
};

/* `hour` counts hours since 1970. Returns 0 or -ENOMEM. */
int burst_add(struct burst_sum *sum, int64_t hour, const struct burst_hour *bytes);
/* Of a period: bits a second, rounded down. Stretches that were not added are 0. */
uint64_t burst_p95(const struct burst_sum *sum, int64_t from_usec, int64_t to_usec);
void burst_finish(struct burst_sum *sum);
