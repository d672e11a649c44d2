/* Running rules through libnftables. */
#pragma once

#include "base/err.h"

/*
 * Runs a text of commands as one transaction: all of it or nothing. Returns 0, or -EINVAL with
 * FAILED_PRECONDITION / NET_RULES_REFUSED and what the kernel said.
 */
int apply_text(const char *text, struct err *err);
