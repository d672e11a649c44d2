/* A container's snapshot schedule on the command line: --snapshot-every, -keep, -expire. */
#pragma once

#include "cli/columns.h"
#include "cli/options.h"
#include "croft/v1/containers.pb-c.h"

/* The options, for a command's table. */
#define SCHEDULE_OPTIONS                                                                           \
	{.name = "snapshot-every",                                                                 \
		.value = "TIME",                                                                   \
		.help = "make a snapshot so often, as 30m, 12h or 1d; none: no more"},             \
		{.name = "snapshot-keep",                                                          \
			.value = "N",                                                              \
			.help = "keep the newest N of them (default: 7)"},                         \
	{                                                                                          \
		.name = "snapshot-expire", .value = "TIME",                                        \
		.help = "delete each of them after so long"                                        \
	}

struct schedule_message {
	Croft__V1__SnapshotSchedule message;
	Google__Protobuf__Duration every;
	Google__Protobuf__Duration expire;
	bool given; /* also when it is none */
};

/* A time such as 30m. Returns 0 or a usage error. */
int schedule_span(
	const char *option, const char *text, Google__Protobuf__Duration *ret, struct err *err);

/* Reads the options. Returns 0 or a usage error. */
int schedule_read(const struct options *options, struct schedule_message *ret, struct err *err);
/* The schedule for a request; NULL: none. */
Croft__V1__SnapshotSchedule *schedule_message(struct schedule_message *schedule);

/* "every 1d, 7 kept" of a container. */
const char *schedule_text(
	const ProtobufCMessage *message, bool human, char buf[static COLUMN_TEXT_MAX]);
