/* A container's console, joined to this process's standard input and output. */
#pragma once

#include "cli/client.h"
#include "croft/v1/containers.pb-c.h"

#include <stdint.h>

/*
 * Looks at the console until the keys of detach.h are typed, the run has ended, a signal says so,
 * or standard input has ended and nothing more comes of it. Standard input is put into raw mode
 * when it is a terminal, and restored whatever happens; the console's size follows the local one.
 * `label` is the container as people write it.
 *
 * Returns 0 with the exit status to leave with in *ret_status, or -errno and err: the call failed,
 * croftd being restarted among the reasons.
 */
int console_session_run(struct client *client, const Croft__V1__ConsoleStart *start,
	const char *label, uint8_t prefix, int *ret_status, struct err *err);
