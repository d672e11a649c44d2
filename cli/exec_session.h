/*
 * A command running in a container, joined to this process's standard input, output and error.
 */
#pragma once

#include "cli/client.h"
#include "croft/v1/containers.pb-c.h"

/* Exit statuses of exec that are not the command's own, as env(1), timeout(1) and shells do. */
enum exec_exit {
	EXEC_REFUSED = 125,	   /* Croft refused or failed */
	EXEC_NOT_EXECUTABLE = 126, /* found, but it could not be executed */
	EXEC_NOT_FOUND = 127,
	EXEC_SIGNAL = 128, /* + the signal's number */
};

/*
 * Runs start to its end. With start->tty, standard input is put into raw mode when it is a
 * terminal, and restored whatever happens; the window's size follows the local one. Without,
 * signals that would end croft go to the command instead, once it runs.
 *
 * Returns 0 with the exit status to leave with in *ret_status. On failure -errno, err, and
 * *ret_status one of enum exec_exit.
 */
int exec_session_run(
	struct client *client, const Croft__V1__ExecStart *start, int *ret_status, struct err *err);
