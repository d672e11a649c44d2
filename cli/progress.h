/* One line on a terminal that shows how far long work has come; nothing anywhere else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown_at_all; /* standard error is a terminal */
	bool on_screen;
	uint64_t last_usec;
};

void progress_init(struct progress *p);
/* Replaces the line, at most ten times a second. */
void progress_show(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Removes the line. Call it before anything else is printed. */
void progress_clear(struct progress *p);
