/*
 * What a command prints: rows of messages by a table of columns, in the format that -o chose.
 *
 * A column names a field of the message by its path, so the same row of a table serves lists
 * (one line a message) and single objects (one line a field, when for people).
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "proto/message.h"

#include <stdio.h>

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV };

enum column_kind {
	COLUMN_PLAIN,	 /* as it is; enums in lower case */
	COLUMN_ID,	 /* a number of which 0 is none */
	COLUMN_RESOURCE, /* "tenants/a/containers/b" as "a/b" */
	COLUMN_SIZE,	 /* bytes; for people "1.5 GiB" */
	COLUMN_MILLI,	 /* thousandths; for people "0.5" */
	COLUMN_USEC,	 /* microseconds; for people "12.345 s" */
	COLUMN_TIME,	 /* google.protobuf.Timestamp as RFC 3339 */
	COLUMN_CUSTOM,	 /* by `text` */
};

#define COLUMN_TEXT_MAX 256

struct column {
	const char *name;  /* CSV's heading; NULL ends a table of columns */
	const char *title; /* for people; NULL: not shown to them */
	const char *path;  /* of the field; custom columns have none */
	enum column_kind kind;
	/* Returns buf or a string of the message; for people when `human`. */
	const char *(*text)(
		const ProtobufCMessage *message, bool human, char buf[static COLUMN_TEXT_MAX]);
};

/* The text of a column for a message: buf or a string of the message. Never NULL. */
const char *column_text(const struct column *column, const ProtobufCMessage *message, bool human,
	char buf[static COLUMN_TEXT_MAX]);

/*
 * Writes pattern to out with every "{name}" replaced by that column's text for people; the columns
 * must have each. Cuts what does not fit.
 */
void column_fill(const struct column *columns, const char *pattern, const ProtobufCMessage *message,
	char out[static COLUMN_TEXT_MAX]);

struct output;

/*
 * Begins a list on `out`. JSON and CSV rows are written as they come; a table when it ends.
 * Returns 0 with the output the caller's, or -errno.
 */
int output_create(enum output_format format, const struct column *columns, FILE *out,
	struct output **ret, struct err *err);
/* Adds a message, which may be freed afterwards. Returns 0 or -errno. */
int output_add(struct output *output, const ProtobufCMessage *message, struct err *err);
/* Prints what is held back and flushes. Returns 0 or -errno (a full disk, a closed pipe). */
int output_end(struct output *output, struct err *err);
void output_destroy(struct output *output);

/* Prints one message: for people a line a column, else as a list of one. Returns 0 or -errno. */
int output_one(enum output_format format, const struct column *columns,
	const ProtobufCMessage *message, FILE *out, struct err *err);

/* Flushes and says whether everything reached `out`. Returns 0 or -errno. */
int output_flush(FILE *out, struct err *err);

static inline void cleanup_output(struct output **output)
{
	output_destroy(*output);
}

#define _cleanup_output_ __attribute__((cleanup(cleanup_output)))
