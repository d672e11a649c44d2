/*
 * A policy that tells: the same program, but that the tell-tale calls (base/telltale.h) which it
 * refuses with EPERM, whatever their arguments, are put to a listener (seccomp_unotify(2)), who
 * answers the same. Every other call goes the way it went.
 */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Of a checked program (policy_program_check()) the set of tell-tale calls that can be told of. 0
 * as well where it does not let sendmsg(2) through, which hands the listener over once it holds.
 */
uint64_t telling_set(const struct sock_filter *program, size_t n);

/*
 * Makes the program that tells of the set. Returns 0 with *ret owned by the caller (free()), or
 * -ENOMEM, or -E2BIG where the kernel would not take so long a one.
 */
int telling_make(const struct sock_filter *program, size_t n, uint64_t set,
	struct sock_filter **ret, unsigned short *ret_n);
