/*
 * How often events of one kind are told of one subject, so that nobody floods the record: some at
 * once, and then one in some minutes, each with how often it happened since the last. What is not
 * told yet is told when its time has come; the meters have all of it at any time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EVENT_PACE_GAP_USEC UINT64_C(5000000)	/* between any two */
#define EVENT_PACE_USEC	    UINT64_C(600000000) /* on the average, when it goes on */
#define EVENT_PACE_BURST    6			/* that a quiet one may tell before that */

/* All zero: nothing was told. Times are of CLOCK_BOOTTIME. */
struct event_pace {
	uint64_t last_boot_usec;
	uint64_t paid_boot_usec; /* until when the ones told are paid for */
};

bool event_pace_is_due(const struct event_pace *pace, uint64_t now_boot_usec);
/* One is told. */
void event_pace_take(struct event_pace *pace, uint64_t now_boot_usec);
