/* What croft-net gives up before it looks at its input. */
#pragma once

#include "base/err.h"

/*
 * Keeps CAP_NET_ADMIN alone, as nobody; closes every descriptor above 2; bounds time and memory.
 * Returns 0 or -errno.
 */
int lockdown_privileges(struct err *err);

/*
 * Leaves the process memory, the descriptors it has, and netfilter's netlink sockets. No file can
 * be opened any more. Returns 0 or -errno.
 */
int lockdown_syscalls(struct err *err);
