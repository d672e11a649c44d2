/*
 * How many processes and threads were begun in containers. No file of a cgroup says it: a small BPF
 * program at the kernel's sched_process_fork counts them by the cgroup of who began them (ADR 100).
 * Nothing of it is within reach of a container, and one that does nothing costs nothing.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

/* Containers that are counted at a time: 64 bytes of the kernel's memory each. */
#define FORK_COUNT_MAX 16384u

struct fork_count;

/*
 * Begins to count in the cgroups at that depth of the cgroup2 tree (its root is 0) that are added;
 * what is below them is theirs. Needs CAP_SYS_ADMIN. Returns 0 with *ret the caller's, or -errno:
 * -ENOENT or the like on a kernel that has no such programs.
 */
int fork_count_open(unsigned depth, struct fork_count **ret, struct err *err);
/* NULL is allowed: nothing is counted. So it is below. */
void fork_count_close(struct fork_count *count);

/* From 0, whatever was counted before. id: the inode of its cgroup2 directory. 0 or -errno. */
int fork_count_add(struct fork_count *count, uint64_t id);
void fork_count_remove(struct fork_count *count, uint64_t id);

/*
 * A map of cgroup to count, both uint64_t, for BPF_MAP_LOOKUP_ELEM, that cannot be written to. It
 * stays ours. -1: nothing is counted.
 */
int fork_count_fd(const struct fork_count *count);
