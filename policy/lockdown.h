/* What croft-policy gives up before it looks at a profile. */
#pragma once

#include "base/err.h"
#include "policy/context.h"

/*
 * Gives up root, privileges to come, every descriptor above 2, and bounds time and memory.
 * Returns 0 or -errno.
 */
int lockdown_privileges(struct err *err);

/*
 * Leaves the process memory, write(2) and its end. What is to be read must have been read before.
 * Returns 0 or -errno.
 */
int lockdown_syscalls(const struct policy_context *context, struct err *err);
