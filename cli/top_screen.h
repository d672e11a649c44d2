/* croft top on a terminal: drawn anew at every look until somebody leaves it. */
#pragma once

#include "cli/cli.h"
#include "cli/top_frame.h"

struct top_options {
	const char *tenant; /* "tenants/t"; "": all */
	enum top_key key;
	bool flat;
	unsigned interval_ms;
};

/*
 * Runs until q, Ctrl-C or a signal, and leaves the terminal as it was on every path. *ret_status is
 * the exit status. Returns 0 or -errno.
 */
int top_screen_run(
	struct client *client, const struct top_options *options, int *ret_status, struct err *err);
