/* Progress on standard error; see progress.h. Must print nothing when that is no terminal. */
#include "cli/progress.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define INTERVAL_USEC 100000u
#define CLEAR_LINE    "\r\033[K"

void progress_init(struct progress *p)
{
	*p = (struct progress){.shown_at_all = isatty(STDERR_FILENO)};
}

void progress_show(struct progress *p, const char *fmt, ...)
{
	uint64_t now = clock_boot_usec();
	va_list ap;

	if (!p->shown_at_all || (p->on_screen && now - p->last_usec < INTERVAL_USEC))
		return;
	p->last_usec = now;
	p->on_screen = true;
	fputs(CLEAR_LINE, stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fflush(stderr);
}

void progress_clear(struct progress *p)
{
	if (!p->on_screen)
		return;
	p->on_screen = false;
	fputs(CLEAR_LINE, stderr);
	fflush(stderr);
}
