/* Limits between the command line (base/limits.h) and the API (croft.v1.Limits). */
#pragma once

#include "base/limits.h"
#include "cli/options.h"
#include "croft/v1/limits.pb-c.h"

#define LIMITS_CORES_MAX 5120 /* a list of LIMITS_CPUS_MAX numbers and commas */

/* Filled in place: message points into cores. */
struct limits_message {
	Croft__V1__Limits message;
	char cores[LIMITS_CORES_MAX];
	const char *paths[LIMIT_N + 2]; /* of a field mask: "limits.pids"; no terminator */
	size_t n_paths;
};

/*
 * Reads the limits among a command's options. may_unset tells whether "none" has a meaning (it
 * has for a change, and where none is the default). Returns 0, or a usage error for a malformed
 * value and for a zero that the API would take for "none".
 */
int limits_message_read(
	const struct options *options, bool may_unset, struct limits_message *ret, struct err *err);
