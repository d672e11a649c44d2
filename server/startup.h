/*
 * What croftd does as root before it serves anything, after which it never can again: directories,
 * the supervisor, sockets, then the drop to its own user. Without root it uses what it finds.
 */
#pragma once

#include "server/config.h"
#include "server/listen.h"

struct supervisor_client;

struct startup {
	int state_fd; /* <state>/server, croftd's own */
	int logs_fd;  /* <state>/server/logs */
	int run_fd;
	int pid_fd; /* the locked pid file: open as long as croftd lives */
	struct supervisor_client *supervisor; /* NULL: not connected yet */
	struct listener listeners[CONFIG_LISTEN_MAX];
	size_t n_listen;
	struct listener metrics; /* fd -1: not wanted */
	char db_path[CONFIG_PATH_MAX + 32];
};

/*
 * Does all of it. The descriptors are the caller's (startup_finish()). Refusals:
 * FAILED_PRECONDITION / ALREADY_RUNNING when another croftd holds the run directory.
 */
int startup_prepare(const struct config *config, struct startup *ret, struct err *err);
void startup_finish(struct startup *startup);

/* Tells the service manager (sd_notify(3)); nothing when there is none. */
void startup_notify(const char *state);
