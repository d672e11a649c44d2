/*
 * Log lines to standard error; see log.h. One write(2) a line, so that lines of several processes
 * never mix. Never fails towards its caller.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static enum log_level max_level = LOG_LEVEL_INFO;
static const char *program_name = "croft";
static bool to_journal;

void log_init(const char *program)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{"error", LOG_LEVEL_ERROR},
		{"warning", LOG_LEVEL_WARNING},
		{"info", LOG_LEVEL_INFO},
		{"debug", LOG_LEVEL_DEBUG},
	};
	const char *wanted = getenv("CROFT_LOG");

	program_name = program;
	to_journal = getenv("JOURNAL_STREAM") != NULL;
	for (size_t i = 0; wanted && i < sizeof(levels) / sizeof(levels[0]); i++)
		if (!strcmp(wanted, levels[i].name))
			max_level = levels[i].level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	int saved = errno;
	size_t len = 0;
	size_t start;
	va_list ap;

	if (level > max_level)
		return;
	if (to_journal)
		len += (size_t)snprintf(line, sizeof(line), "<%d>", (int)level);
	start = len;
	len += (size_t)snprintf(line + len, sizeof(line) - len, "%s: ", program_name);
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	for (len = start; line[len]; len++)
		if ((unsigned char)line[len] < 0x20 || line[len] == 0x7f)
			line[len] = ' ';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0) {
		/* There is nobody left to tell. */
	}
	errno = saved;
}
