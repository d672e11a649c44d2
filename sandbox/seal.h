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
