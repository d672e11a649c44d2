/*
 * What containers write to their standard output and console: taken from the pipe and the pty at a
 * bounded rate (log_quota.h), and kept in a file of croftd's own with one rotation (log_writer.h).
 *
 * A container that writes faster fills its pipe and waits: that is its own time. Files are named by
 * the container's uid, so that a later container of the same name never shows them.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#define LOGS_READ_MAX	 (64u << 10) /* bytes taken at a time from one descriptor... */
#define LOGS_PAUSE_MS	 50	     /* ...and the pause after it */
#define LOGS_LITTLE	 4096u /* after no more than this, of a console that is looked at... */
#define LOGS_WATCHED_MS	 5     /* ...a shorter one */
#define LOGS_IDLE_MS	 1000  /* the longest, of a console that nothing has open */
#define LOGS_MESSAGE_MAX (32u << 10)

struct container;
struct log_source;
struct server;

/* Gets what a console writes; arg is the container. True when somebody looks at it. */
typedef bool (*log_tap_fn)(void *arg, const void *data, size_t size);

/*
 * Takes both descriptors (either may be -1) and begins reading them. NULL when that is impossible:
 * logged, and no reason not to run.
 */
struct log_source *log_source_open(struct server *server, struct container *container,
	int output_fd, int console_fd, log_tap_fn tap);
/* The console's descriptor, which stays the source's; -1: none. NULL is allowed. */
int log_source_console(const struct log_source *source);
/* The same, which becomes the caller's and is read no more. */
int log_source_take_console(struct log_source *source);
/* Somebody has begun to look: the console is read now. */
void log_source_poke(struct log_source *source);
/* Takes what is left, a bounded amount. NULL is allowed. */
void log_source_drain(struct log_source *source);
/* What it has read is written all the same. NULL is allowed. */
void log_source_close(struct log_source *source);

/* Has no more kept of a container's output than is to be; see log_quota.h. */
void logs_trim(struct server *server, struct container *container, uint64_t max_bytes);

/* Its state has changed, or what follows: who follows its output asks whether more may come. */
void logs_wake(const struct container *container);

/* Deletes a container's files, and wakes those who read them. */
void logs_remove(struct server *server, const char *uid);
/*
 * At the start: deletes those of containers that are no more, and tells log_quota.h what the others
 * keep. Returns 0 or -errno.
 */
int logs_remove_strays(struct server *server, struct err *err);

/* A position in a container's kept output, which survives rotations while it is open. */
struct log_reader {
	LIST_ENTRY(log_reader) entry;
	struct server *server;
	char uid[64];
	int fd; /* -1: nothing was written yet */
	off_t offset;
	uint64_t until; /* the number of what is to be waited for; see log_reader_expect() */
	/* Something new was written; may be NULL. */
	void (*wake)(void *arg);
	void *arg;
};

/* Begins at the oldest byte kept, or tail_bytes before the end. Nothing kept is no error. */
void log_reader_open(
	struct log_reader *reader, struct server *server, const char *uid, uint64_t tail_bytes);
void log_reader_close(struct log_reader *reader);
/* All that was read of the container by now is to be waited for; log_reader_open() does it once. */
void log_reader_expect(struct log_reader *reader);
/* True while something of that is not yet written: wake() tells. */
bool log_reader_must_wait(const struct log_reader *reader);
/* The next bytes: 0 at the present end, -errno. */
ssize_t log_reader_read(struct log_reader *reader, void *buf, size_t size);
