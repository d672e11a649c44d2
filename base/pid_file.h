/* The pid file of a daemon, whose lock says that no other runs for a directory. */
#pragma once

#include "base/err.h"

/*
 * Opens `name` in the directory, locks it and writes this process's pid. Called once, and the file
 * opened by nothing else: closing any descriptor of it gives the lock up. `who` is for the error,
 * "a croftd". Returns 0 with the descriptor, which is the caller's to keep open, or -errno.
 */
int pid_file_take(int dir_fd, const char *name, const char *who, int *ret_fd, struct err *err);

/*
 * Removes a file that was taken, while its lock is still held, and closes it. Nothing for an fd of
 * -1. Needs the right to change the directory, which croftd gives up once it has started.
 */
void pid_file_remove(int dir_fd, const char *name, int *fd);
