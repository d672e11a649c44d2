/*
 * What a process inherits from whoever started the supervisor and no execve(2) clears: priorities,
 * processors, resource limits, signals. A container must have none of it, nor may it depend on it.
 */
#pragma once

#include "base/err.h"

/*
 * Gives the calling process the values that a first process of a host has: oom_score_adj 0 (and no
 * way below it without the host's CAP_SYS_RESOURCE), nice 0, SCHED_OTHER, no I/O priority, every
 * processor (its cgroup then says which), no memory policy, the default timer slack, umask 022,
 * each resource limit free to be set up to its largest (with CAP_SYS_RESOURCE), and
 * inherited_reset_signals(). Needs the host's root. Returns 0 or -errno.
 */
int inherited_reset(struct err *err);

/* No signal is blocked, and each does what it does by default. */
void inherited_reset_signals(void);
