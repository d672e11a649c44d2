/* Starting croft-supervisor where none answers: the one fork of croftd's life. */
#pragma once

#include "server/config.h"

#include <sys/types.h>

/*
 * Returns 0 when a supervisor answers in the run directory, an old one or a new one. It may be
 * connected to by peer_uid. Its program is config->supervisor, or the one that lies with croftd's.
 */
int start_supervisor(const struct config *config, int run_fd, uid_t peer_uid, struct err *err);
