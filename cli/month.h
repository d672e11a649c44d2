/* Months and times of the command line. */
#pragma once

#include "cli/cli.h"

#include "google/protobuf/timestamp.pb-c.h"

/* "2026-11" as the first second of that month and of the next, UTC; a usage error when malformed.
 */
int month_read(const char *text, int64_t *ret_from, int64_t *ret_to, struct err *err);

/* Reads an option's RFC 3339 time into t, and *ret is t; NULL when it was not given. */
int cli_time(const struct cli *cli, const char *option, Google__Protobuf__Timestamp *t,
	Google__Protobuf__Timestamp **ret, struct err *err);
