/*
 * One line a request, on standard error: "croftd: started tenant=acme container=web run=...".
 *
 * Whoever handles a request logs, once; libraries return errors and stay silent. Lines carry
 * syslog's "<N>" prefix when standard error is the journal ($JOURNAL_STREAM is set).
 */
#pragma once

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* Names the program for every later line and reads CROFT_LOG (error, warning, info, debug). */
void log_init(const char *program);

/* Writes one line; control characters in it are replaced, so that a name cannot forge a line. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
