/*
 * The last steps of a process before it becomes a tenant's: keyring, signals, resource limits,
 * capabilities, policy, descriptors. The same for an init and for an exec.
 */
#pragma once

#include "base/err.h"

#include <linux/filter.h>
#include <stdbool.h>

struct confinement {
	const struct sock_filter *filter; /* the policy's program */
	unsigned short n_filter;
	unsigned flags; /* for seccomp(2), as the policy asks */
	/* The same with a listener for tell-tale calls (telling.h); NULL: it has none. */
	const struct sock_filter *telling;
	unsigned short n_telling;
};

/*
 * Rlimits, a session keyring of its own, every signal as it is by default, an empty inheritable and
 * ambient set, the bounding set. nesting: as many open files as an engine gives its containers.
 */
int confine_prepare(bool nesting, struct err *err);

/*
 * Closes every descriptor above 2 but the kept ones (which become close-on-exec; negative: none).
 * Due before the first name of the tenant's choice is followed, be it a working directory, a
 * program or what /etc has become: it may lead to /proc/self/fd/N, and through a directory of the
 * host `..` leads to its root (CVE-2024-21626). What is kept must be no directory of the host.
 */
int confine_close(int keep, int keep_too, int keep_three, struct err *err);

/*
 * confine_close(), then loads the guard of ioctl_guard.h and the policy. tell_fd: a socket (kept as
 * well), to which the listener of the program that tells is sent; -1: the plain program is loaded.
 *
 * The policy holds from here on: what follows (becoming the user, execve(2)) must be what any
 * policy has to allow. Needs CAP_SYS_ADMIN in the current user namespace (no_new_privs stays off:
 * setuid programs are part of a distribution).
 */
int confine_seal(const struct confinement *c, int keep, int keep_too, int tell_fd, struct err *err);
