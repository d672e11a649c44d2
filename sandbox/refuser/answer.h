/* Answering one listener: EPERM to whatever it asks, counted, and not faster than a pace. */
#pragma once

#include "sandbox/refused_count.h"

#include <stdbool.h>
#include <stdint.h>

/* So many at once, and then so many a second: who goes on waits, and nobody for it. */
#define ANSWER_BURST	100u
#define ANSWER_GAP_USEC 20000u

struct answer {
	int fd;
	struct refused_count *count; /* mapped */
	uint64_t paid_usec;	     /* until when those given are paid for */
};

/* True when one more may be given. Times are of CLOCK_MONOTONIC. */
bool answer_is_due(const struct answer *a, uint64_t now_usec);
/*
 * Gives one; whoever asked may have gone meanwhile. Never reads the caller's memory, whose pid may
 * be another's by now. Returns 0 or -errno; -EAGAIN: nobody asks.
 */
int answer_give(struct answer *a, uint64_t now_usec);

/* Whether this kernel's messages have room in ours. Due before the first. */
bool answer_fits_kernel(void);
