/*
 * The program runs from a sealed copy of itself: what a container could reach through /proc/PID/exe
 * of a process that is entering it cannot be written, and is not the file on the host.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

/*
 * Executes a sealed copy in place of the calling program, with the same arguments. Returns only
 * when the caller is that copy already (0), or on failure.
 */
int seal_self(char **argv, struct err *err);

/* The directory that the program was started from: of the original, not of the copy. */
int seal_program_dir(char *ret_dir, size_t size, struct err *err);

/*
 * A sealed copy of a program, to be executed in a container: /proc/PID/exe is then neither a file
 * of the host nor names one. The descriptor is the caller's.
 */
int seal_copy(int fd, const char *name, int *ret_fd, struct err *err);

/* Notes where the command line lies in memory. Before anything reorders argv. */
void seal_note_arguments(int argc, char **argv);

/*
 * Overwrites the calling process's command line, which everybody who sees it may read in
 * /proc/PID/cmdline: with paths and names of the host. What pointed into argv is gone after it.
 */
void seal_hide_arguments(const char *shown);
