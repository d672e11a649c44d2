/*
 * Which namespace a container gets, which user namespace owns it, and when it is made.
 *
 * The *outer* user namespace owns what tenant root must not change: the mounts as they were built,
 * the cgroup namespace, the namespace limits. The *inner*, where tenant root lives, owns what it
 * needs to rule: pid, net, uts, ipc, and a copy of the mounts in which everything is locked.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ns_step {
	NS_OUTER_CLONE,	 /* with the clone3(2) that makes the outer user namespace */
	NS_OUTER_JOINED, /* unshared once the process is in its cgroup, which becomes the root */
	NS_INNER_CLONE,	 /* with the clone3(2) that makes the inner user namespace and pid 1 */
	NS_INNER_LAST,	 /* unshared by pid 1 when all is mounted: the copy is locked */
};

/* The CLONE_NEW* flags that belong to a step. */
uint64_t namespaces_flags(enum ns_step step);

/* All namespaces of a container: what an exec joins by its init's pidfd. */
int namespaces_join_flags(void);

/*
 * Writes `inside outside 65536` to a process's uid_map and gid_map. To be called by a process
 * privileged in the parent user namespace. Source: user_namespaces(7).
 */
int namespaces_write_maps(pid_t pid, uid_t inside, uid_t outside, struct err *err);

/*
 * Bounds what may be made below the calling process's user namespace (user.max_*, inotify and so
 * on). Written in the outer namespace, so that tenant root cannot raise it. nesting: with room for
 * containers inside. Needs the host's /proc.
 */
int namespaces_set_limits(bool nesting, struct err *err);
