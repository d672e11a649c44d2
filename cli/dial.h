/* Addresses of croftd ("unix:PATH", "tcp:HOST:PORT") and connecting to them. */
#pragma once

#include "base/err.h"

#define DIAL_DEFAULT "unix:/run/croft/croft.sock"

/*
 * Connects to the address; an IPv6 host stands in brackets ("tcp:[::1]:7443"). The connection is
 * plain, and the descriptor non-blocking and the caller's.
 * Returns 0; -EINVAL with reason USAGE for a malformed address; UNAVAILABLE with a sentence that
 * says what to do when nobody answers.
 */
int dial_connect(const char *address, int *ret_fd, struct err *err);
