/* Starting croft-supervisor where none answers: the one fork of croftd's life. */
#pragma once

#include "server/config.h"

#include <sys/types.h>

struct supervisor_client;

/*
 * Returns 0 with a connection, the caller's, when a supervisor answers in the run directory, an old
 * one or a new one. It may be connected to by peer_uid. Its program is config->supervisor, or the
 * one that lies with croftd's.
 */
int start_supervisor(const struct config *config, int run_fd, uid_t peer_uid,
	struct supervisor_client **ret, struct err *err);
