/* Listening sockets from "unix:PATH" and "tcp:ADDRESS:PORT". */
#pragma once

#include "base/err.h"

/*
 * Binds and listens. A unix socket left behind by a croftd that is gone is replaced; one that is
 * answered on is ALREADY_EXISTS. Anybody may connect to it: who they are is asked of the kernel.
 */
int listen_open(const char *spec, int *ret_fd, struct err *err);
