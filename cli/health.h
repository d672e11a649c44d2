/* A container's health check on the command line: --health-cmd and what goes with it. */
#pragma once

#include "cli/columns.h"
#include "cli/options.h"
#include "croft/v1/containers.pb-c.h"

/* The options, for a command's table. */
#define HEALTH_OPTIONS                                                                             \
	{.name = "health-cmd",                                                                     \
		.value = "COMMAND",                                                                \
		.help = "a line for /bin/sh inside, healthy when its status is 0; none: no more"}, \
		{.name = "health-interval",                                                        \
			.value = "TIME",                                                           \
			.help = "how often, from 1s (default: 30s)"},                              \
		{.name = "health-timeout",                                                         \
			.value = "TIME",                                                           \
			.help = "how long the line may take, to 5m (default: 30s)"},               \
		{.name = "health-retries",                                                         \
			.value = "N",                                                              \
			.help = "so many failures in a row are unhealthy (default: 3)"},           \
		{.name = "health-start-period",                                                    \
			.value = "TIME",                                                           \
			.help = "failures so soon after the start do not count"},                  \
	{                                                                                          \
		.name = "health-restart", .help = "stop an unhealthy container and start it again" \
	}

struct health_message {
	Croft__V1__HealthCheck message;
	Google__Protobuf__Duration interval;
	Google__Protobuf__Duration timeout;
	Google__Protobuf__Duration start_period;
	bool given; /* also when it is none */
};

/* Reads the options. Returns 0 or a usage error. */
int health_option_read(const struct options *options, struct health_message *ret, struct err *err);
/* The check for a request; NULL: none. */
Croft__V1__HealthCheck *health_option_message(struct health_message *health);

/* "healthy", "unhealthy (3 failures): connection refused" of a container. */
const char *health_text(
	const ProtobufCMessage *message, bool human, char buf[static COLUMN_TEXT_MAX]);
/* Its state, in a table with what else is to be known of it: "running (unhealthy)". */
const char *health_state_text(
	const ProtobufCMessage *message, bool human, char buf[static COLUMN_TEXT_MAX]);
/* "every 30s: COMMAND". */
const char *health_check_text(
	const ProtobufCMessage *message, bool human, char buf[static COLUMN_TEXT_MAX]);
