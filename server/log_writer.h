/*
 * The thread that writes containers' output into files, so that a disk that is slow, or stands
 * still, holds up their output and nothing else (ADR 70). Work is done in the order it was given.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct log_file;
struct log_writer;

/*
 * Called on the loop when the work was done, or is given up for good; kept is how much the files of
 * that uid hold now.
 */
typedef void (*log_written_fn)(void *arg, uint64_t kept_bytes);

#define LOG_UID_SIZE 64

/* dirfd stays the caller's, and must outlive the writer. Returns 0 or -errno. */
int log_writer_create(struct event_base *base, int dirfd, struct log_writer **ret, struct err *err);
/* Writes what there is to write, calls back, and ends the thread. NULL is allowed. */
void log_writer_destroy(struct log_writer *writer);

/* The output of the container with this uid. It is made with the first byte. NULL: no memory. */
struct log_file *log_file_new(const char *uid);
/* Closes and frees it, after all that was given for it. */
void log_file_free(struct log_writer *writer, struct log_file *file);
/*
 * Adds a copy of the bytes; what is written is kept in two files of at most half of max_bytes each.
 * -ENOMEM: nothing is written and done is not called.
 */
int log_file_append(struct log_writer *writer, struct log_file *file, const void *data, size_t size,
	uint64_t max_bytes, log_written_fn done, void *arg);
/*
 * Has no more than max_bytes kept: the older file goes, then the other. file is the one that is
 * open for this uid, or NULL. -ENOMEM: not done, and done is not called.
 */
int log_writer_trim(struct log_writer *writer, const char *uid, struct log_file *file,
	uint64_t max_bytes, log_written_fn done, void *arg);

/* Names of the files kept for a uid: the present one and the one before it. */
void log_file_name(const char *uid, bool old, char ret[static LOG_UID_SIZE + 16]);
/* Deletes both. -ENOMEM: not done, and done is not called. */
int log_writer_remove(struct log_writer *writer, const char *uid, log_written_fn done, void *arg);
